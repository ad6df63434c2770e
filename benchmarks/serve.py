"""Requests a second: many clients of ``moeagiqa serve`` on loopback, against ``moeagiqa score``'s own loop.

    python benchmarks/serve.py TABLE [--requests 1000] [--clients 32] [--rounds 10] [--fast] [--weights FILE] [--output FILE.json]

TABLE has columns path and prompt, as ``moeagiqa prepare`` writes it. Each request has one image. Both ways take turns, round
by round: the same images are scored in this process, then by the service, in a process of its own. All the while one client has
sent half a request and waits, one sends no HTTP, and one sends files that are no images.
"""

import argparse
import json
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pyiqa
import torch
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'benchmarks')]

from measure import machine, over_rounds  # noqa: E402
from throughput import items_of  # noqa: E402

from pyiqa_moeagiqa.scoring.run import score_items  # noqa: E402
from pyiqa_moeagiqa.scoring.sources import Item  # noqa: E402

PATIENCE = 600  # seconds


@contextmanager
def served(options: list[str]) -> Iterator[str]:
    """Run ``moeagiqa serve`` with options; gives its address."""
    command = [sys.executable, '-m', 'pyiqa_moeagiqa', 'serve', '--port', '0', '--timeout', str(PATIENCE), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr or ():
            if found := re.search(r'http://[\d.:]+', line):
                break
        else:
            raise SystemExit('The service did not start: nothing was measured.')
        threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
        yield found[0]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def bad_company(address: str) -> Iterator[dict[str, int]]:
    """Within, clients hang, send no HTTP, or send no images; gives how often the latter two did."""
    host, port = address.removeprefix('http://').split(':')
    done, counts = threading.Event(), {'no HTTP': 0, 'no images': 0}
    hanging = socket.create_connection((host, int(port)))
    hanging.sendall(
        b'POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9999\r\n\r\n--b'
    )

    def garbage() -> None:
        while not done.wait(1):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(b'\x00\xff' * 500 + b'\r\n\r\n')
                connection.recv(1000)
            counts['no HTTP'] += 1
            httpx.post(f'{address}/score', files={'images': b'no image'}, data={'prompts': 'a cat'}, timeout=PATIENCE)
            counts['no images'] += 1

    thread = threading.Thread(target=garbage)
    thread.start()
    try:
        yield counts
    finally:
        done.set()
        thread.join()
        hanging.close()


def measure(items: list[Item], clients: int, rounds: int, fast: bool, weights: str) -> dict[str, Any]:
    """Seconds of each round in both ways, seconds of each request, and how many were lost or wrong."""
    metric = pyiqa.create_metric('moeagiqa', device=torch.device('cpu'), fast=fast, pretrained_model_path=weights)
    times: dict[str, list[float]] = {'score': [], 'serve': []}
    latencies: list[float] = []
    lost = wrong = 0
    with (
        served(['--device', 'cpu', '--weights', weights, *(['--fast'] if fast else [])]) as address,
        httpx.Client(base_url=address, timeout=PATIENCE, limits=httpx.Limits(max_connections=clients)) as client,
        ThreadPoolExecutor(clients) as pool,
    ):

        def ask(item: Item) -> float | None:
            """The score that the service gives; None if it gives none."""
            start = time.perf_counter()
            answer = client.post(
                '/score', files={'images': Path(item.path).read_bytes()}, data={'prompts': item.prompt}
            )
            latencies.append(time.perf_counter() - start)
            return answer.json()['results'][0]['score'] if answer.status_code == 200 else None

        list(score_items(metric, items[:2]))  # to warm up
        list(pool.map(ask, items[:2]))
        latencies.clear()
        with bad_company(address) as counts:
            for number in range(rounds):
                some = items[number::rounds]
                start = time.perf_counter()
                expected = [result.score for result in score_items(metric, some)]
                between = time.perf_counter()
                given = list(pool.map(ask, some))
                times['score'].append(between - start)
                times['serve'].append(time.perf_counter() - between)
                lost += given.count(None)
                print(f'round {1 + number}: {times["score"][-1]:.1f} s, {times["serve"][-1]:.1f} s', file=sys.stderr)
                wrong += sum(one is not None and one != other for one, other in zip(given, expected, strict=True))
    return {
        'machine': machine(),
        'requests': len(items),
        'clients': clients,
        'fast': fast,
        'weights': weights,
        'lost': lost,
        'wrong': wrong,
        'seconds': times,
        'latencies': latencies,
        'bad company': counts,
    }


def show(result: dict[str, Any]) -> None:
    """One table."""
    caption = ', '.join(f'{name} {value}' for name, value in result['machine'].items())
    title = f'{result["requests"]} requests from {result["clients"]} clients{", fast" if result["fast"] else ""}'
    table = Table('', 'measured', title=title, caption=caption)
    times, latencies = result['seconds'], sorted(result['latencies'])
    for way in ('score', 'serve'):
        table.add_row(f'{way}, images a second', f'{result["requests"] / sum(times[way]):.2f}')
    ratio = over_rounds(times['score'], times['serve'])
    table.add_row("serve's throughput over score's, median of rounds", '{:.2f} ({:.2f} to {:.2f})'.format(*ratio))
    table.add_row('the same over all rounds', f'{sum(times["score"]) / sum(times["serve"]):.2f}')
    table.add_row('seconds of a request, median', f'{statistics.median(latencies):.2f}')
    table.add_row('seconds of a request, 99th percentile', f'{latencies[int(0.99 * (len(latencies) - 1))]:.2f}')
    table.add_row('lost, wrong', f'{result["lost"]}, {result["wrong"]}')
    table.add_row('meanwhile', ', '.join(f'{count} {what}' for what, count in result['bad company'].items()))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', type=Path)
    parser.add_argument('--requests', type=int, default=1000)
    parser.add_argument('--clients', type=int, default=32)
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--fast', action='store_true', help='one crop, dtype auto: more requests a second')
    parser.add_argument('--weights', default='moeagiqa', help='a checkpoint; a tiny one measures all but the network')
    parser.add_argument('--output', type=Path, help='JSON file for all figures')
    options = parser.parse_args()
    result = measure(
        items_of(options.table, options.requests), options.clients, options.rounds, options.fast, options.weights
    )
    show(result)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
