"""Training and scoring of full-size v2 on one GPU: images a second and peak memory, by number type, with TF32 and with compile.

    python benchmarks/gpu.py [--rounds 10] [--output FILE.json] [--tiny]

The ways take turns in one process after two steps each to warm up. Weights and pictures are random and no file is read: a
training step begins with a batch in the processor's memory, scoring with one on the GPU. ``--tiny`` takes tiny networks, and the
processor where there is no GPU.
"""

import argparse
import copy
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'benchmarks'), str(ROOT / 'tests')]

from measure import fill, machine, measure_times, peak_gib, share_trunk  # noqa: E402
from training import FULL_SIZE, SMALL, random_batch, start_training  # noqa: E402

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig  # noqa: E402
from pyiqa_moeagiqa.checkpoints.load import build_network  # noqa: E402
from pyiqa_moeagiqa.models.precision import Precision  # noqa: E402

BATCH, TRAINING_CROPS = 16, 3
SCORED, CROPS = 32, 15  # images at once when scoring, crops of each
WARM_UP = 2
AIMS = 'Aims: 100 images a second in training and 250 in scoring, both in bfloat16.'


@dataclass(frozen=True)
class Way:
    """One way of training or scoring."""

    title: str
    trains: bool
    dtype: str = 'float32'
    matmul: str = 'highest'
    compiled: bool = False


WAYS = (
    Way('training, float32', True),
    Way('training, TF32', True, matmul='high'),
    Way('training, bfloat16', True, 'bfloat16'),
    Way('scoring, float32', False),
    Way('scoring, TF32', False, matmul='high'),
    Way('scoring, bfloat16', False, 'bfloat16'),
    Way('scoring, bfloat16, compiled', False, 'bfloat16', compiled=True),
)


class Bench:
    """A network for training, one for each way of scoring, and their batches."""

    def __init__(self, config: MoEAGIQAConfig, device: torch.device):
        torch.manual_seed(0)
        self.device, network = device, build_network(config)
        fill(network)
        share_trunk(network)
        self.scored = copy.deepcopy(network).to(device).eval()
        self.model = start_training(network, gpus=int(device.type == 'cuda'))
        self.batch = random_batch(config, BATCH, TRAINING_CROPS)
        batch = random_batch(config, SCORED, CROPS)
        self.given = [batch[name].to(device) for name in ('crops', 'view', 'ids', 'mask')]

    def step(self, way: Way) -> Callable[[], Any]:
        """What takes one step in that way, and waits until the device is done."""
        step = self._training_step(way) if way.trains else self._scoring_step(way)

        def done() -> None:
            step()
            if self.device.type == 'cuda':
                torch.cuda.synchronize()

        return done

    def _training_step(self, way: Way) -> Callable[[], Any]:
        precision = Precision(way.dtype if way.dtype != 'float32' else False, self.device, way.matmul)

        def step() -> None:
            self.model.precision = precision
            self.model.feed_data(self.batch)
            self.model.optimize_parameters(self.model.iteration + 1)

        return step

    def _scoring_step(self, way: Way) -> Callable[[], Any]:
        network = copy.deepcopy(self.scored).cast_encoders(getattr(torch, way.dtype))
        if way.compiled:
            network.compile_encoders()
        precision = Precision(False, self.device, way.matmul)

        @torch.inference_mode()
        def step() -> torch.Tensor:
            with precision.products():
                return network(*self.given).targets['quality'].score

        return step


def measure(tiny: bool, rounds: int, ways: tuple[Way, ...] = WAYS) -> dict[str, Any]:
    """All figures of these ways.

    Raises:
        SystemExit: where there is no GPU, without ``tiny``.
    """
    on_gpu = torch.cuda.is_available()
    if not on_gpu and not tiny:
        raise SystemExit('torch finds no GPU here: this benchmark measures one; --tiny tries it on the processor.')
    device = torch.device('cuda' if on_gpu else 'cpu')
    bench = Bench(SMALL if tiny else FULL_SIZE, device)
    steps = {way.title: bench.step(way) for way in ways}
    peaks = {title: _peak_of(step, device) for title, step in steps.items()}
    times = measure_times(steps, rounds)
    result = {'machine': machine() | ({'gpu': torch.cuda.get_device_name()} if on_gpu else {}), 'ways': {}}
    for way in ways:
        images = BATCH if way.trains else SCORED
        speed = images / statistics.median(times[way.title])
        result['ways'][way.title] = asdict(way) | {
            'seconds': times[way.title], 'images_a_second': speed, 'peak_gib': peaks[way.title]
        }  # fmt: skip
    return result


def _peak_of(step: Callable[[], Any], device: torch.device) -> float:
    """Largest memory of some steps in GiB: what torch held on the GPU, with all networks of this benchmark, or of this process."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    for _ in range(WARM_UP):
        step()
    return torch.cuda.max_memory_allocated() / 2**30 if device.type == 'cuda' else peak_gib()


def show(result: dict[str, Any]) -> None:
    """One table."""
    facts = ', '.join(f'{name} {value}' for name, value in result['machine'].items())
    table = Table('way', 'images a second', 'peak GiB', title='v2 on one GPU', caption=f'{AIMS} {facts}')
    for title, way in result['ways'].items():
        table.add_row(title, f'{way["images_a_second"]:.3g}', f'{way["peak_gib"]:.2f}')
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--output', type=Path, help='JSON file for all figures')
    parser.add_argument('--tiny', action='store_true', help='the same on tiny networks, also without a GPU')
    options = parser.parse_args()
    result = measure(options.tiny, options.rounds)
    show(result)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
