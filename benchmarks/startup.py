"""What starting costs: ``import pyiqa`` with and without the plugin, and ``create_metric`` in a fresh process.

    python benchmarks/startup.py [--rounds 7] [--output FILE.json]

Each figure is of a process of its own; the ways take turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'benchmarks')]

from measure import machine, median_interval  # noqa: E402

TIMED = """
import sys, time
{before}
start = time.perf_counter()
{timed}
print(time.perf_counter() - start)
"""
WITHOUT = "sys.meta_path = [finder for finder in sys.meta_path if getattr(finder, '__name__', '') != '_PyiqaFinder']"
WAYS = {
    'import pyiqa, without the plugin': TIMED.format(before=WITHOUT, timed='import pyiqa'),
    'import pyiqa': TIMED.format(before='', timed='import pyiqa'),
    "create_metric('moeagiqa')": TIMED.format(before='import pyiqa', timed="pyiqa.create_metric('moeagiqa')"),
    'first score after it': TIMED.format(
        before="import pyiqa, torch; metric = pyiqa.create_metric('moeagiqa')",
        timed="metric(torch.rand(1, 3, 512, 512), caption_list=['a cat'])",
    ),
    'moeagiqa --help': TIMED.format(
        before='import subprocess',
        timed="subprocess.run([sys.executable, '-m', 'pyiqa_moeagiqa.cli', '--help'], stdout=-3)",
    ),
}


def seconds(code: str) -> float:
    """What a fresh process measures."""
    answer = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, capture_output=True, text=True)
    return float(answer.stdout.split()[-1])


def measure(rounds: int) -> dict[str, Any]:
    """Seconds of each way in each round; the first round, which fills the disk's cache, does not count."""
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(1 + rounds):
        for name, code in WAYS.items():
            times[name].append(seconds(code))
    return {'machine': machine(), 'seconds': {name: values[1:] for name, values in times.items()}}


def show(result: dict[str, Any]) -> None:
    """One table."""
    caption = ', '.join(f'{name} {value}' for name, value in result['machine'].items())
    table = Table('what', 'seconds', 'interval of the median', title='Start', caption=caption)
    for name, values in result['seconds'].items():
        _, low, high = median_interval(values)
        table.add_row(name, f'{statistics.median(values):.3f}', f'{low:.3f} to {high:.3f}')
    plugin, alone = (result['seconds'][name] for name in ('import pyiqa', 'import pyiqa, without the plugin'))
    added = median_interval([1000 * (a - b) for a, b in zip(plugin, alone, strict=True)])
    table.add_row('added by the plugin', f'{added[0]:.0f} ms', '{:.0f} to {:.0f} ms'.format(*added[1:]))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--output', type=Path, help='JSON file for all figures')
    options = parser.parse_args()
    result = measure(options.rounds)
    show(result)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
