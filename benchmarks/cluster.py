"""Images a second of one worker on a Ray cluster against ``moeagiqa score``'s, and whether a long run stays as it began.

    python benchmarks/cluster.py TABLE [--count 200] [--rounds 3] [--rows 100000] [--output FILE.json]

TABLE has columns path and prompt, as ``moeagiqa prepare`` writes it. The first part scores its first images with the compact
default, and both ways take turns; a cluster's time counts from its first answer, as starting takes seconds however many images
follow. The second part scores a manifest of ``--rows`` lines with a tiny network, so that it measures the pipeline: for each
tenth of the run, wall time and processor time of all processes for an image, and the memory of driver and largest worker.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'benchmarks'), str(ROOT / 'tests')]

from measure import machine, over_rounds  # noqa: E402
from tiny import config  # noqa: E402

from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA  # noqa: E402
from pyiqa_moeagiqa.checkpoints import Checkpoint, save  # noqa: E402
from pyiqa_moeagiqa.cluster.blocks import blocks_of  # noqa: E402
from pyiqa_moeagiqa.cluster.command import ClusterJob, score  # noqa: E402
from pyiqa_moeagiqa.cluster.output import ScoreFolder  # noqa: E402
from pyiqa_moeagiqa.cluster.pipeline import cluster_at, scored  # noqa: E402
from pyiqa_moeagiqa.cluster.read import Asked  # noqa: E402
from pyiqa_moeagiqa.data.table import read_table  # noqa: E402
from pyiqa_moeagiqa.scoring.metric import made_by, make_metric  # noqa: E402
from pyiqa_moeagiqa.scoring.output import ScoreFile, columns_of  # noqa: E402
from pyiqa_moeagiqa.scoring.run import score_items  # noqa: E402
from pyiqa_moeagiqa.scoring.sources import Item, PromptChoice  # noqa: E402

TICK = os.sysconf('SC_CLK_TCK')
PARTS = 10
SECONDS: dict[int, float] = {}  # of each process when it was last seen: those of processes that have ended count, too


def manifest(items: Sequence[Item], count: int, file: Path) -> Path:
    """A JSON-lines file of so many rows, which name the items again and again."""
    with file.open('w') as lines:
        for number in range(count):
            item = items[number % len(items)]
            lines.write(json.dumps({'path': str(item.path), 'prompt': item.prompt}) + '\n')
    return file


def rates(items: list[Item], rounds: int, folder: Path) -> dict[str, Any]:
    """Seconds an image, alone and on a cluster with one worker, by turns."""
    metric = make_metric('moeagiqa', {'device': 'cpu'})
    columns = columns_of(made_by('moeagiqa', metric), True)
    asked = Asked((), None, (), True, True)
    blocks = list(
        blocks_of([str(manifest(items, len(items), folder / 'rates.jsonl'))], PromptChoice(), '', True, False)
    )
    times: dict[str, list[float]] = {'alone': [], 'cluster': []}
    for number in range(rounds):
        output = ScoreFile(folder / f'{number}.csv', {'metric': 'moeagiqa'}, True)
        start = time.perf_counter()
        for _ in score_items(metric, items, output):
            pass
        times['alone'].append((time.perf_counter() - start) / len(items))
        output.close()
        times['cluster'].append(_steady(scored(blocks, asked, 'moeagiqa', {}, columns)))
    return {'images': len(items), 'seconds': times, 'cluster over alone': over_rounds(times['alone'], times['cluster'])}


def _steady(tables: Iterator[Any]) -> float:
    """Seconds an image from the first answer to the last."""
    next(tables)
    start, count = time.perf_counter(), 0
    for table in tables:
        count += sum(score is not None for score in table['score'].to_pylist())
        end = time.perf_counter()
    if not count:
        raise SystemExit('All answers came at once: raise --count.')
    return (end - start) / count


class Watch(ScoreFolder):
    """Notes time and memory as rows come in."""

    notes: list[dict[str, float]] = []  # noqa: RUF012
    images = 0

    def add(self, rows: Any) -> int:
        """Count, and note what it took so far."""
        count = super().add(rows)
        type(self).images += count
        self.notes.append({'images': self.images, 'wall': time.perf_counter(), **usage()})
        return count


def usage() -> dict[str, float]:
    """Processor seconds of this process and those it started, and MiB of memory that this and the largest worker own."""
    now = {pid: _status(pid) for pid in (os.getpid(), *_children(os.getpid()))}
    SECONDS.update((pid, seconds) for pid, (seconds, _) in now.items() if seconds)
    driver, *workers = (memory for _, memory in now.values())
    return {'processor': sum(SECONDS.values()), 'driver': driver, 'worker': max(workers)}


def _children(parent: int) -> list[int]:
    """All processes that a process has started, and those that they have."""
    try:
        text = ' '.join(file.read_text() for file in Path(f'/proc/{parent}/task').glob('*/children'))
    except OSError:  # it has ended
        return []
    own = [int(word) for word in text.split()]
    return own + [pid for child in own for pid in _children(child)]


def _status(pid: int) -> tuple[float, float]:
    try:
        stat = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        status = dict(line.split(':', 1) for line in Path(f'/proc/{pid}/status').read_text().splitlines())
    except OSError:
        return 0.0, 0.0
    own = int(status.get('RssAnon', '0 kB').split()[0]) / 1024
    return (int(stat[11]) + int(stat[12])) / TICK, own


def growth(items: list[Item], count: int, folder: Path) -> list[dict[str, float]]:
    """What an image costs, and memory, in each tenth of a run with a tiny network."""
    from pyiqa_moeagiqa.cluster import command

    torch.manual_seed(0)
    checkpoint = folder / 'tiny.safetensors'
    save(Checkpoint(config(), MoEAGIQA(config()).state_dict(), {'model_name': 'moeagiqa'}), checkpoint)
    command.ScoreFolder = Watch
    options = {'pretrained_model_path': str(checkpoint), 'crops': 1}
    file = manifest(items, count, folder / 'growth.jsonl')
    score(ClusterJob([str(file)], PromptChoice(), str(folder / 'scores'), 'moeagiqa', options, 'local'))
    # The first rows come after the workers have started.
    notes = [next(note for note in Watch.notes if note['images'] >= count * part / PARTS) for part in range(1, PARTS)]
    notes = [Watch.notes[0], *notes, Watch.notes[-1]]
    return [
        {
            'images': now['images'],
            'wall ms': 1000 * (now['wall'] - before['wall']) / (now['images'] - before['images']),
            'processor ms': 1000 * (now['processor'] - before['processor']) / (now['images'] - before['images']),
            'driver MiB': now['driver'],
            'worker MiB': now['worker'],
        }
        for before, now in itertools.pairwise(notes)
    ]


def small(items: list[Item], folder: Path) -> list[Item]:
    """The items' images at 64 pixels, so that decoding costs little."""
    from PIL import Image

    made = []
    for number, item in enumerate(items[:100]):
        path = folder / f'{number}.png'
        Image.open(item.path).convert('RGB').resize((64, 64)).save(path)
        made.append(Item(path, item.prompt))
    return made


def show(result: dict[str, Any]) -> None:
    """Two tables."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    caption = ', '.join(f'{name} {value}' for name, value in result['machine'].items())
    if rate := result.get('rates'):
        table = Table('', 'seconds an image, by rounds', title=f'{rate["images"]} images', caption=caption)
        for way, seconds in rate['seconds'].items():
            table.add_row(way, ', '.join(f'{value:.3f}' for value in seconds))
        table.add_row('cluster, times as fast', '{:.2f} ({:.2f} to {:.2f})'.format(*rate['cluster over alone']))
        console.print(table)
    if result.get('growth'):
        table = Table(*result['growth'][0], title='Growth, tiny network', caption=caption)
        for part in result['growth']:
            table.add_row(*(f'{value:,.1f}' if name != 'images' else f'{value:,}' for name, value in part.items()))
        console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', type=Path)
    parser.add_argument('--count', type=int, default=200, help='images of the first part; 0 leaves it out')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--rows', type=int, default=100_000, help='of the second part; 0 leaves it out')
    parser.add_argument('--output', type=Path, help='JSON file for all figures')
    options = parser.parse_args()
    rows = read_table(options.table, ['path', 'prompt'])[: max(options.count, 100)]
    places = [str((options.table.parent / path).absolute()) for path in rows['path']]
    items = [Item(Path(path), prompt) for path, prompt in zip(places, rows['prompt'], strict=True)]
    result: dict[str, Any] = {'machine': machine()}
    with tempfile.TemporaryDirectory() as name, cluster_at('local'):
        folder = Path(name)
        if options.count:
            result['rates'] = rates(items[: options.count], options.rounds, folder)
        if options.rows:
            result['growth'] = growth(small(items, folder), options.rows, folder)
    show(result)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
