"""How many crops, and where: SRCC on images that a checkpoint was not trained on, and time, against the number of crops.

    python benchmarks/crops.py TABLE --weights FILE --split prompt_0 [--images 200] [--figure FILE.png] [--output FILE.json]

TABLE is what ``moeagiqa prepare`` writes; images are those that the split tests. One pass over each image looks at all crops,
as an image's score is a mean of its crops' scores.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyiqa
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr
from torch import Tensor
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'benchmarks')]

from measure import machine, measure_times  # noqa: E402

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig  # noqa: E402
from pyiqa_moeagiqa.archs.moeagiqa_arch import mean_over_crops  # noqa: E402
from pyiqa_moeagiqa.images.read import read_image  # noqa: E402
from pyiqa_moeagiqa.images.views import crop_positions, free_places  # noqa: E402

COUNTS = (1, 2, 3, 5, 10, 15)
GRIDS = {1: (1, 1), 2: (1, 2), 3: (1, 3), 5: (1, 5), 10: (2, 5), 15: (3, 5)}
PIXELS = 512
SHOWN = 0.12  # of SRCC, so that noise does not look like a finding


def spread(height: int, width: int, config: MoEAGIQAConfig, seed: int) -> Tensor:
    """The metric's own: the centre first, then ever more evenly."""
    return crop_positions(height, width, config.crop_size, COUNTS[-1], config.crop_scales)


def random(height: int, width: int, config: MoEAGIQAConfig, seed: int) -> Tensor:
    """As the released implementation tests: anywhere."""
    draw = torch.rand(COUNTS[-1], 2, generator=torch.Generator().manual_seed(seed))
    return (draw * (free_places(height, width, config.crop_size, COUNTS[-1], config.crop_scales) + 1)).long()


def grid(height: int, width: int, config: MoEAGIQAConfig, seed: int) -> Tensor:
    """Rows and columns from border to border, those of each count after those of the count before."""
    free = free_places(height, width, config.crop_size, 1)[0]
    parts = []
    for rows, columns in GRIDS.values():
        unit = [torch.linspace(0, 1, n) if n > 1 else torch.tensor([0.5]) for n in (rows, columns)]
        parts.append((torch.cartesian_prod(*unit) * free).round().long())
    return torch.cat(parts)


PLACEMENTS: dict[str, Callable[[int, int, MoEAGIQAConfig, int], Tensor]] = {
    'spread': spread,
    'random': random,
    'grid': grid,
}


def chosen(crop_scores: Tensor, count: int, placement: str, config: MoEAGIQAConfig) -> Tensor:
    """(N, 1) scores by ``count`` of the crops that were looked at, and by the view where the network scores it."""
    first = config.view_is_crop + (sum(COUNTS[: COUNTS.index(count)]) if placement == 'grid' else 0)
    parts = [crop_scores[:, : config.view_is_crop], crop_scores[:, first : first + count]]
    return mean_over_crops(torch.cat(parts, dim=1), config)


def srcc(metric: Any, table: pd.DataFrame, folder: Path) -> dict[str, dict[int, float]]:
    """For each placement and count; crops that take turns in their scale have no grid."""
    config, result = metric.net.network.config, {}
    for name, place in PLACEMENTS.items():
        if name == 'grid' and config.crop_scales:
            continue
        scores = []
        for seed, row in enumerate(tqdm(table.itertuples(), total=len(table), desc=name, disable=None)):
            image = read_image(folder / row.path)
            positions = place(*image.shape[-2:], config, seed)
            _, details = metric(
                folder / row.path, caption_list=[row.prompt], crop_positions=positions, return_details=True
            )
            scores.append(details.crop_scores)
        every = torch.cat(scores)
        result[name] = {
            count: float(spearmanr(chosen(every, count, name, config).flatten(), table['quality']).statistic)
            for count in COUNTS
        }
    return result


def seconds(weights: str | None, rounds: int) -> dict[str, float]:
    """Median seconds of a score, by count."""
    image = torch.rand(1, 3, PIXELS, PIXELS)
    options = {'pretrained_model_path': weights, 'dtype': 'auto', 'device': torch.device('cpu')}
    metrics = {count: pyiqa.create_metric('moeagiqa', crops=count, **options) for count in COUNTS}
    steps = {count: lambda metric=metric: metric(image, caption_list=['a cat']) for count, metric in metrics.items()}
    measure_times(steps, 1)  # to warm up
    return {count: statistics.median(times) for count, times in measure_times(steps, rounds).items()}


def draw(result: dict[str, Any], file: Path) -> None:
    """SRCC against seconds, one line for each placement, its points the counts."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout='constrained')
    times = [result['seconds'][count] for count in COUNTS]
    for name, values in result['srcc'].items():
        axes.plot(times, [values[count] for count in COUNTS], marker='o', label=name)
    for count, x in zip(COUNTS, times, strict=True):
        axes.text(x, 1.01, str(count), transform=axes.get_xaxis_transform(), ha='center')
    middle = sum(axes.get_ylim()) / 2
    axes.set_ylim(middle - SHOWN / 2, middle + SHOWN / 2)
    axes.set_xlabel('seconds a score (median); numbers above: crops beside the view')
    axes.set_ylabel(f'SRCC of quality, {result["images"]} unseen images')
    axes.legend(title='where the crops lie', loc='lower right')
    axes.spines[['top', 'right']].set_visible(False)
    figure.savefig(file, dpi=110)


def show(result: dict[str, Any]) -> None:
    """One table."""
    caption = ', '.join(f'{name} {value}' for name, value in result['machine'].items())
    table = Table('crops', 'seconds', *result['srcc'], title='SRCC by number and place of crops', caption=caption)
    for count in COUNTS:
        cells = (f'{values[count]:.4f}' for values in result['srcc'].values())
        table.add_row(str(count), f'{result["seconds"][count]:.3f}', *cells)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', type=Path)
    parser.add_argument('--weights', help='a checkpoint that has not seen the tested images')
    parser.add_argument('--split', default='prompt_0', help='column of the table that says which are tested')
    parser.add_argument('--images', type=int, default=200)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--figure', type=Path, help='PNG to draw')
    parser.add_argument('--output', type=Path, help='JSON file for all figures')
    options = parser.parse_args()
    table = pd.read_csv(options.table, keep_default_na=False)
    table = table[table[options.split] == 'test'].sample(frac=1, random_state=0)[: options.images]
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=options.weights, dtype='auto')
    result = {'machine': machine(), 'images': len(table), 'seconds': seconds(options.weights, options.rounds)}
    result['srcc'] = srcc(metric, table, options.table.parent)
    show(result)
    if options.figure:
        draw(result, options.figure)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
