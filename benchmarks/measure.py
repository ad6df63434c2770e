"""What the benchmarks share: networks filled at random, steps that take turns, medians with intervals, the machine."""

import math
import os
import resource
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from released import Released
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pyiqa_moeagiqa.archs.hardware import fast_dtype
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints.names import from_released_regressor

Step = Callable[[], Any]


def fill(module: nn.Module) -> None:
    """Random weights for all that is on the meta device yet."""
    weights = {name: _values(name, tensor.shape) for name, tensor in module.named_parameters() if tensor.is_meta}
    module.load_state_dict(weights, strict=False, assign=True)


def _values(name: str, shape: torch.Size) -> Tensor:
    if len(shape) == 1:
        return torch.full(shape, float(name.endswith('weight')))  # a norm's, else a bias
    deviation = 0.5 if shape[0] == 1 else shape[1:].numel() ** -0.5
    return torch.empty(shape).normal_(std=deviation)


def share_trunk(network: MoEAGIQA) -> None:
    """Let the two ViTs begin alike, as pre-training of the prior leaves them."""
    network.visual.load_state_dict(network.prior.state_dict(), strict=False)
    network.find_shared_trunk()
    assert network.trunk


def share_weights(released: Released, network: MoEAGIQA) -> None:
    """Give both the same weights: ours gets the released regressor's, the released ViTs get ours."""
    if next(network.prior.parameters()).is_meta:
        return
    for vit in (released.visual, released.prior):
        vit.load_state_dict(network.prior.state_dict())
    network.load_state_dict(from_released_regressor(released.regressor.state_dict()), strict=False)


def count_gmac(step: Step) -> float:
    """Multiplications and additions of a step, in 1e9, as torch counts matrix products and convolutions."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # it does not know the CPU's own
        step()
    return counter.get_total_flops() / 2e9


def measure_times(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step in each round; the ways take turns."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return times


def over_rounds(one: list[float], other: list[float]) -> tuple[float, float, float]:
    """Median and interval of the ratios of steps in the same round."""
    return median_interval([a / b for a, b in zip(one, other, strict=True)])


def median_interval(values: list[float]) -> tuple[float, float, float]:
    """Median, and between which two values it lies in 95 of 100 cases; with fewer than six, the lowest and the highest."""
    ordered, count = sorted(values), len(values)
    outside, tail = 0, 1 / 2**count
    while tail <= 0.025:
        outside += 1
        tail += math.comb(count, outside) / 2**count
    skipped = max(outside - 1, 0)
    return statistics.median(ordered), ordered[skipped], ordered[count - 1 - skipped]


def peak_gib() -> float:
    """This process's largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    info = Path('/proc/cpuinfo').read_text() if Path('/proc/cpuinfo').is_file() else ''
    lines = dict(line.split(':', 1) for line in info.split('\n\n')[0].splitlines() if ':' in line)
    facts = {name.strip(): value.strip() for name, value in lines.items()}
    flags = facts.get('flags', '').split()
    return {
        'processor': facts.get('model name', 'unknown'),
        'amx': 'amx_tile' in flags,
        'avx512_bf16': 'avx512_bf16' in flags,
        'capability': torch.backends.cpu.get_cpu_capability(),
        'fast_dtype': str(fast_dtype(torch.device('cpu'))),
        'threads': torch.get_num_threads(),
        'load': os.getloadavg()[0],
        'torch': torch.__version__,
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
    }
