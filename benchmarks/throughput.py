"""Images a second from files on disk: pyiqa's own loop against ``moeagiqa score``'s, with the compact default.

    python benchmarks/throughput.py TABLE [--count 1000] [--ways loop auto …] [--output FILE.json] [--growth]

TABLE has columns path and prompt, as ``moeagiqa prepare`` writes it. The ways take turns, ``BLOCK`` images each, in one process;
the peak of memory is of a process of its own for each way. ``--growth`` measures the pipeline instead, with a tiny
network: what an image costs when 10,000 are scored, over 100.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyiqa
import torch
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'benchmarks'), str(ROOT / 'tests')]

from measure import machine, over_rounds, peak_gib  # noqa: E402
from tiny import config  # noqa: E402

from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA  # noqa: E402
from pyiqa_moeagiqa.checkpoints import Checkpoint, save  # noqa: E402
from pyiqa_moeagiqa.data.table import read_table  # noqa: E402
from pyiqa_moeagiqa.scoring.output import ScoreFile  # noqa: E402
from pyiqa_moeagiqa.scoring.run import score_items  # noqa: E402
from pyiqa_moeagiqa.scoring.sources import Item  # noqa: E402

BLOCK, MEMORY_IMAGES = 25, 50
WAYS = {
    'loop': {},
    'float32': {},
    'auto': {'dtype': 'auto'},
    'fast': {'fast': True},
}
GROWTH = (100, 10_000)


def items_of(table: Path, count: int) -> list[Item]:
    """The table's first rows."""
    rows = read_table(table, ['path', 'prompt'])[:count]
    return [Item(table.parent / path, prompt) for path, prompt in zip(rows['path'], rows['prompt'], strict=True)]


def runner(way: str) -> tuple[Any, Callable[[Sequence[Item]], None]]:
    """The metric, and what scores a block of images."""
    metric = pyiqa.create_metric('moeagiqa', device=torch.device('cpu'), **WAYS[way])

    def loop(items: Sequence[Item]) -> None:
        for item in items:
            metric(str(item.path), caption_list=[item.prompt])

    def score(items: Sequence[Item]) -> None:
        failed = [result.reason for result in score_items(metric, items) if result.score is None]
        if failed:
            raise SystemExit(f'{failed[0]}: nothing was measured.')

    return metric, loop if way == 'loop' else score


class Clock:
    """How long the network computes: its two halves, timed."""

    def __init__(self, network: MoEAGIQA):
        self.seconds = 0.0
        for owner, name in ((network, 'encode'), (network, 'assess'), (network.semantic, 'words')):
            setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, function: Callable) -> Callable:
        def timed(*args):
            start = time.perf_counter()
            answer = function(*args)
            self.seconds += time.perf_counter() - start
            return answer

        return timed


def measure(items: list[Item], ways: Sequence[str], memory: dict[str, float]) -> dict[str, Any]:
    """Seconds of each block, by way; share of time that the network is busy; ratios to pyiqa's loop."""
    runs = {way: runner(way) for way in ways}
    clocks = {way: Clock(metric.net.network) for way, (metric, _) in runs.items()}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _, run in runs.values():
        run(items[:2])  # to warm up
    for clock in clocks.values():
        clock.seconds = 0.0
    for start in range(0, len(items), BLOCK):
        for way, (_, run) in runs.items():
            before = time.perf_counter()
            run(items[start : start + BLOCK])
            times[way].append(time.perf_counter() - before)
    return {
        'machine': machine(),
        'images': len(items),
        'ways': {
            way: {
                'seconds': times[way],
                'images a second': len(items) / sum(times[way]),
                'network busy': clocks[way].seconds / sum(times[way]),
                'peak gib': memory[way],
                'faster than the loop': over_rounds(times['loop'], times[way]) if 'loop' in times else None,
            }
            for way in ways
        },
    }


def own_peak(table: Path, way: str) -> float:
    """Peak memory of a process that scores some images in one way. To be called while this one is small."""
    command = [sys.executable, '-W', 'ignore', __file__, str(table), '--memory-of', way]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(answer.split()[-1])


def growth(table: Path) -> dict[str, Any]:
    """Seconds an image, and peak memory, of many images over few: files are links to the table's, the network is tiny."""
    items, result = items_of(table, 100), {}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / 'tiny.safetensors'
        save(Checkpoint(config(), MoEAGIQA(config()).state_dict(), {'model_name': 'moeagiqa'}), checkpoint)
        metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(checkpoint), device=torch.device('cpu'))
        for count in (GROWTH[0], *GROWTH):  # the first one is to warm up
            images = Path(folder) / 'images'
            images.mkdir()
            for number in range(count):
                (images / f'{number}.jpg').symlink_to(items[number % len(items)].path.resolve())
            every = (Item(path, 'a cat') for path in sorted(images.iterdir()))
            output = ScoreFile(Path(folder) / f'{count}.csv', {'metric': 'tiny'})
            start = time.perf_counter()
            scored = sum(result.score is not None for result in score_items(metric, every, output))
            seconds = time.perf_counter() - start
            output.close()
            shutil.rmtree(images)
            (Path(folder) / f'{count}.csv').unlink()
            result[count] = {'scored': scored, 'ms an image': 1000 * seconds / count, 'peak gib': peak_gib()}
    return {'machine': machine(), 'growth': result}


def show(result: dict[str, Any]) -> None:
    """One table."""
    caption = ', '.join(f'{name} {value}' for name, value in result['machine'].items())
    if 'growth' in result:
        table = Table('images', 'ms an image', 'peak GiB', title='Growth, tiny network', caption=caption)
        for count, figures in result['growth'].items():
            table.add_row(f'{count:,}', f'{figures["ms an image"]:.2f}', f'{figures["peak gib"]:.3f}')
    else:
        columns = ('way', 'images a second', 'ms an image', 'network busy', 'peak GiB', "x pyiqa's loop")
        table = Table(*columns, title=f'{result["images"]} images from files', caption=caption)
        for way, figures in result['ways'].items():
            ratio = figures['faster than the loop']
            table.add_row(
                way,
                f'{figures["images a second"]:.2f}',
                f'{1000 * statistics.median(figures["seconds"]) / BLOCK:.0f}',
                f'{figures["network busy"]:.0%}',
                f'{figures["peak gib"]:.2f}',
                '' if ratio is None else '{:.2f} ({:.2f} to {:.2f})'.format(*ratio),
            )
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', type=Path)
    parser.add_argument('--count', type=int, default=1000)
    parser.add_argument('--ways', nargs='+', choices=WAYS, default=['loop', 'float32', 'auto', 'fast'])
    parser.add_argument('--output', type=Path, help='JSON file for all figures')
    parser.add_argument('--growth', action='store_true', help='100 against 10,000 images, with a tiny network')
    parser.add_argument('--memory-of', choices=WAYS, help='only print the peak memory of this process in that way')
    options = parser.parse_args()
    if options.memory_of:
        runner(options.memory_of)[1](items_of(options.table, MEMORY_IMAGES))
        print(peak_gib())
        return
    if options.growth:
        result = growth(options.table)
    else:
        memory = {way: own_peak(options.table, way) for way in options.ways}
        result = measure(items_of(options.table, options.count), options.ways, memory)
    show(result)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
