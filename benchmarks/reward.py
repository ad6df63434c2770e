"""What a reward costs over the metric itself, and the memory of its loss, for one batch.

    python benchmarks/reward.py [--images 16] [--pixels 512] [--rounds 3] [--output FILE.json] [--tiny]

Times are processor seconds of all threads, so that other work on the machine hardly counts; the ways take turns. Memory is the
resident peak of processes that do one thing each.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyiqa
import torch
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'benchmarks'), str(ROOT / 'tests')]

from measure import machine, over_rounds, peak_gib  # noqa: E402
from tiny import COMPACT_LIKE, made, saved  # noqa: E402

from pyiqa_moeagiqa import Reward  # noqa: E402

PROMPT = 'a cat in the snow'
TITLES = {
    'metric': "pyiqa's metric",
    'reward': 'Reward',
    'pair': 'Reward with metadata',
    'loss': 'Reward.loss and backward',
}


def ways(images: int, pixels: int, weights: str | None) -> dict[str, Callable[[], Any]]:
    """What does each thing once, with the same batch."""
    batch = torch.rand(images, 3, pixels, pixels, generator=torch.Generator().manual_seed(0))
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=weights)
    reward, prompts = Reward(pretrained_model_path=weights), [PROMPT] * images
    return {
        'metric': lambda: metric(batch, caption_list=prompts),
        'reward': lambda: reward(batch, prompts),
        'pair': lambda: reward(batch, prompts, {}),
        'loss': lambda: reward.loss(batch.clone().requires_grad_(), prompts).backward(),
    }


def memory_of(name: str, options: argparse.Namespace) -> dict[str, float]:
    """GiB of a process of its own before and after it did one thing."""
    command = [sys.executable, __file__, '--memory-of', name, '--images', str(options.images)]
    command += ['--pixels', str(options.pixels), *(['--tiny', str(options.tiny)] if options.tiny else [])]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    memory = {name: memory_of(name, options) for name in ('reward', 'loss')}  # first: a child's peak begins with ours
    steps = ways(options.images, options.pixels, weights_of(options))
    for name in ('metric', 'reward'):
        steps[name]()  # to warm up
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            begin = time.process_time()
            step()
            times[name].append(time.process_time() - begin)
    ratios = {name: over_rounds(times[name], times['metric']) for name in times}
    return {'machine': machine(), 'images': options.images, 'seconds': times, 'ratios': ratios, 'memory_gib': memory}


def weights_of(options: argparse.Namespace) -> str | None:
    """The embedded checkpoint, or a tiny network's file."""
    return str(saved(made(**COMPACT_LIKE), options.tiny)) if options.tiny else None


def show(result: dict[str, Any]) -> None:
    """One table."""
    facts = ', '.join(f'{name} {value}' for name, value in result['machine'].items())
    title = f'A batch of {result["images"]}'
    table = Table(
        'way', 'processor seconds', "x pyiqa's metric", 'peak GiB, before and in all', title=title, caption=facts
    )
    for name, seconds in result['seconds'].items():
        memory = result['memory_gib'].get(name)
        peak = f'{memory["before"]:.2f}, {memory["peak"]:.2f}' if memory else ''
        ratio = '{:.2f} ({:.2f} to {:.2f})'.format(*result['ratios'][name])
        table.add_row(TITLES[name], f'{statistics.median(seconds):.3g}', ratio, peak)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', type=int, default=16)
    parser.add_argument('--pixels', type=int, default=512, help='of a side')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--output', type=Path, help='JSON file for all figures')
    parser.add_argument(
        '--tiny', type=Path, metavar='FILE', help='the same on a tiny network, which is written to FILE'
    )
    parser.add_argument('--memory-of', choices=TITLES, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.memory_of:
        step = ways(options.images, options.pixels, weights_of(options))[options.memory_of]
        before = peak_gib()
        step()
        print(json.dumps({'before': before, 'peak': peak_gib()}))
        return
    result = measure(options)
    show(result)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
