"""How far scores in bfloat16, of one crop and of the preset ``fast`` are from the exact ones, on real images.

    python benchmarks/precision.py TABLE [--images 200] [--output FILE.json]

TABLE is what ``moeagiqa prepare`` writes. SRCC is with the table's quality MOS: of the embedded default it is flattered, as it was
trained on AGIQA-3K; what counts is whether it changes.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyiqa
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'benchmarks')]

from measure import machine  # noqa: E402

from pyiqa_moeagiqa.scoring.run import score_items  # noqa: E402
from pyiqa_moeagiqa.scoring.sources import Item  # noqa: E402

WAYS = {
    'float32': {},
    'bfloat16': {'dtype': 'bfloat16'},
    'one crop': {'crops': 1},
    'fast': {'fast': True},
}
LARGE = 0.005


def scores(options: dict[str, Any], items: list[Item]) -> Tensor:
    """(N,) scores."""
    metric = pyiqa.create_metric('moeagiqa', device=torch.device('cpu'), **options)
    return torch.tensor([result.score for result in score_items(metric, items)], dtype=torch.float64)


def measure(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """Differences to float32, and SRCC, of each way."""
    items = [Item(folder / row.path, row.prompt) for row in table.itertuples()]
    every = {name: scores(options, items) for name, options in WAYS.items()}
    result = {}
    for name, values in every.items():
        away = (values - every['float32']).abs()
        result[name] = {
            'mean': away.mean().item(),
            'largest': away.max().item(),
            'large': int((away > LARGE).sum()),
            'srcc': float(spearmanr(values, table['quality']).statistic),
        }
    return {'machine': machine(), 'images': len(items), 'ways': result}


def show(result: dict[str, Any]) -> None:
    """One table."""
    caption = ', '.join(f'{name} {value}' for name, value in result['machine'].items())
    title = f'Differences to float32, {result["images"]} images'
    table = Table('way', 'mean', 'largest', f'over {LARGE}', 'SRCC', title=title, caption=caption)
    for name, way in result['ways'].items():
        table.add_row(name, f'{way["mean"]:.4f}', f'{way["largest"]:.4f}', str(way['large']), f'{way["srcc"]:.4f}')
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', type=Path)
    parser.add_argument('--images', type=int, default=200)
    parser.add_argument('--output', type=Path, help='JSON file for all figures')
    options = parser.parse_args()
    table = pd.read_csv(options.table, keep_default_na=False).sample(frac=1, random_state=0)[: options.images]
    result = measure(table, options.table.parent)
    show(result)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
