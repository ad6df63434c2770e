"""Time and memory of ``create_metric``, of one score and of many, in a process of its own.

    python benchmarks/score.py IMAGES [--count 100] [--checkpoint FILE] [--dtype float32] [--crops N]

Quote ratios of figures from one run: machines are shared and differ.
"""

import argparse
import resource
import statistics
import time
from pathlib import Path

import pyiqa
import torch

from pyiqa_moeagiqa.archs.hardware import fast_dtype
from pyiqa_moeagiqa.scoring.sources import find_images


def peak_gib() -> float:
    """The process's largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('images', type=Path)
    parser.add_argument('--count', type=int, default=100)
    parser.add_argument('--checkpoint')
    parser.add_argument('--dtype', default='float32')
    parser.add_argument('--crops', type=int)
    options = parser.parse_args()
    paths = find_images([options.images])[: options.count]
    before = peak_gib()
    start = time.perf_counter()
    metric = pyiqa.create_metric(
        'moeagiqa', pretrained_model_path=options.checkpoint, dtype=options.dtype, crops=options.crops
    )
    created = time.perf_counter() - start
    times = []
    for path in paths:
        start = time.perf_counter()
        metric(path, caption_list=['a picture'])
        times.append(time.perf_counter() - start)
    device = next(metric.parameters()).device
    print(f'{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, {device}, ', end='')
    print(f'fast dtype here: {fast_dtype(device)}, computed in {options.dtype}')
    print(f'import alone {before:.2f} GiB; create_metric {created:.2f} s; first score {times[0]:.2f} s')
    print(
        f'{len(times)} images: {sum(times):.1f} s, median {statistics.median(times):.3f} s an image; peak {peak_gib():.2f} GiB'
    )


if __name__ == '__main__':
    main()
