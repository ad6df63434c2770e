"""Time and memory of one training step at full size v2: ours, and ours with caches, against the released way; and validation.

    python benchmarks/training.py [--rounds 5] [--output FILE.json] [--tiny]

The ways take turns in one process, so that a ratio compares steps that ran side by side; memory is measured for each way
in a process of its own. Weights and pictures are random: the ways share them, and their scores are compared first.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import default_collate

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'benchmarks'), str(ROOT / 'tests')]

from measure import (  # noqa: E402
    Step,
    count_gmac,
    fill,
    machine,
    measure_times,
    over_rounds,
    peak_gib,
    share_trunk,
    share_weights,
)
from released import Released, ReleasedStep  # noqa: E402
from tiny import TINY, TINY_BLIP  # noqa: E402

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig  # noqa: E402
from pyiqa_moeagiqa.archs.hardware import fast_dtype  # noqa: E402
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA  # noqa: E402
from pyiqa_moeagiqa.archs.tokenizer import tokenize  # noqa: E402
from pyiqa_moeagiqa.checkpoints.load import build_network  # noqa: E402
from pyiqa_moeagiqa.data.feature_cache import FeatureCache  # noqa: E402
from pyiqa_moeagiqa.images.size import height_width  # noqa: E402
from pyiqa_moeagiqa.models.moeagiqa_model import MoEAGIQAModel  # noqa: E402
from pyiqa_moeagiqa.models.precision import Precision  # noqa: E402

IMAGES, CROPS, PROMPT_TOKENS = 4, 3, 12
TRAINED, VALIDATED = 2088, 298  # images of AGIQA-3K by split image_0
FULL_SIZE = MoEAGIQAConfig()  # as in options/moeagiqa.yml
SMALL = MoEAGIQAConfig.from_options(TINY | TINY_BLIP | {'prior': True, 'targets': ('quality',)})
TRAIN = {
    'optim': {'type': 'AdamW', 'lr': 1.0e-5, 'weight_decay': 1.0e-5},
    'scheduler': {'type': 'CosineAnnealingLR'},
    'mos_loss_opt': {'type': 'L1Loss'},
    'total_iter': 100_000,
}
SAME = 1e-4
BARS = (
    "Aims in fp32, over released: .68 with the view's frozen part cached, .45 with all; a later epoch .75 of the first."
)


@dataclass(frozen=True)
class Way:
    """One way of taking a step."""

    title: str
    released: bool = False
    graph: bool = False
    kept: str = ''
    validates: bool = False
    bf16: bool = False


IN_FP32 = {
    'released': Way('released', released=True),
    'released_graph': Way('released, gradients in ViTs', released=True, graph=True),
    'ours': Way('ours'),
    'view': Way("ours, the view's frozen part cached", kept='view'),
    'cached': Way('ours, frozen parts cached', kept='cached'),
    'validation': Way('ours, validation', validates=True),
    'validation_cached': Way('ours, validation cached', kept='validation', validates=True),
}
WAYS = IN_FP32 | {f'{key}_bf16': replace(way, title=f'{way.title}, bf16', bf16=True) for key, way in IN_FP32.items()}


class Trained(MoEAGIQAModel):
    """Our training model around a network that is there already, instead of one from files."""

    def start(self, opt: dict[str, Any]) -> MoEAGIQA:
        self.info = {}
        return opt['network']


class Bench:
    """The networks that the named ways need, on one processor, and a batch for them.

    Args:
        config: of the network.
        names: of ``WAYS``.
        folder: where cached features lie.
    """

    def __init__(self, config: MoEAGIQAConfig, names: list[str], folder: Path):
        torch.manual_seed(0)
        self.ways, self.batch = {name: WAYS[name] for name in names}, random_batch(config)
        self.validated = random_batch(config, 1, config.crops)
        self.network = build_network(config)  # on the meta device: what nobody fills takes no memory
        if not all(way.released for way in self.ways.values()):
            fill(self.network)
            share_trunk(self.network)
        if any(way.released for way in self.ways.values()):
            with torch.device('meta'):
                self.released = Released(config, self.network.semantic)  # one BLIP for both, with the released dropout
            fill(self.released)
            share_weights(self.released, self.network)
            self.released_step = ReleasedStep(self.released)
            make_state(self.released_step.optimizer)
        if next(self.network.visual.parameters()).is_cpu:
            self.model = start_training(self.network)
            make_state(self.model.optimizers[0])
        self.caches = {
            'cached': FeatureCache(folder, 'cached'),
            'view': FeatureCache(folder, 'view', view_only=True, dtype=torch.float32),
            'validation': FeatureCache(folder, 'validation', dtype=torch.float32),
        }

    def step(self, name: str) -> Step:
        """What takes one step in that way."""
        way = self.ways[name]
        return self._released_step(way) if way.released else self._our_step(way)

    def _released_step(self, way: Way) -> Step:
        precision = Precision(way.bf16, torch.device('cpu'))

        def step() -> None:
            self.released.keep_gradients_in_vits(way.graph)
            self.released_step(self.batch, precision.autocast)

        return step

    def _our_step(self, way: Way) -> Step:
        precision = Precision(way.bf16, torch.device('cpu'))
        batch = self.validated if way.validates else self.batch
        if way.kept:
            self._fill(self.caches[way.kept], batch)
            read = ('view',) if way.kept == 'view' else ('crops', 'view')
            batch = {name: part for name, part in batch.items() if name not in read}

        def step() -> None:
            features = {'features': self._read(self.caches[way.kept], batch['key'])} if way.kept else {}
            self.model.precision = precision
            self.model.net.train()
            self.model.feed_data(batch | features)
            if way.validates:
                self.model.test()
            else:
                self.model.optimize_parameters(self.model.iteration + 1)

        return step

    def _fill(self, cache: FeatureCache, batch: dict[str, Any]) -> None:
        self.model.precision = Precision(False, torch.device('cpu'))
        self.model.feed_data(batch)
        compute = self.model.encodes(cache)
        for row, key in enumerate(batch['key']):  # picture by picture, so that no peak of memory is this one's
            cache.fill([key], lambda _, row=row: compute([row]))

    def _read(self, cache: FeatureCache, keys: list[str]) -> dict[str, Tensor]:
        """As a loader does, but within the step: a loader's own processes would hide the time."""
        return default_collate([cache.read(key) for key in keys])

    @torch.no_grad()
    def difference(self) -> float:
        """The largest between both ways' scores of the batch, without dropout."""
        inputs = [self.batch[name] for name in ('crops', 'view', 'ids', 'mask')]
        ours = self.network.eval()(*inputs).targets['quality'].score
        return (self.released.eval()(*inputs) - ours).abs().max().item()


def random_batch(config: MoEAGIQAConfig, images: int = IMAGES, crops: int = CROPS) -> dict[str, Any]:
    """Noise for pictures, and prompts of a dozen words, as a loader of PromptNRDataset gives them."""
    view = height_width(config.view_size)
    prompts = ['word ' * (PROMPT_TOKENS - 2)] * images
    ids, mask, _ = tokenize(prompts, config.prompt_tokens)
    return {
        'crops': torch.rand(images, crops, 3, config.crop_size, config.crop_size),
        'view': torch.rand(images, 3, *view),
        'prompt': prompts,
        'ids': ids,
        'mask': mask,
        'mos_label': torch.rand(images, 1),
        'mos_weight': torch.ones(images, 1),
        'mos_std': torch.zeros(images, 1),
        'set': torch.zeros(images, dtype=torch.long),
        'img_path': [f'{row}.png' for row in range(images)],
        'key': [f'picture{row}' for row in range(images)],
    }


def start_training(network: MoEAGIQA, gpus: int = 0) -> Trained:
    """Our training model of the network."""
    alone = {'num_gpu': gpus, 'dist': False, 'rank': 0, 'world_size': 1}
    return Trained({'is_train': True, 'manual_seed': 123, 'network': network, 'train': TRAIN} | alone)


def make_state(optimizer: Optimizer) -> None:
    """Give the optimizer the averages that all steps but a run's first find there: moving them is part of a step's cost."""
    for group in optimizer.param_groups:
        for tensor in group['params']:
            tensor.grad = torch.zeros_like(tensor)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def own_memory(config: MoEAGIQAConfig, name: str) -> dict[str, float]:
    """Peak memory of this process once it has taken a step in one way, and before it began."""
    imports = peak_gib()
    with tempfile.TemporaryDirectory() as folder:
        step = Bench(config, [name], Path(folder)).step(name)
        built = peak_gib()
        step()
    return {'peak': peak_gib(), 'built': built, 'imports': imports}


def measure_memory(name: str, tiny: bool) -> dict[str, float]:
    """The same in a process of its own. To be called while this one is small: Linux hands its size on to a child's peak."""
    command = [sys.executable, __file__, '--memory-of', name, *(['--tiny'] if tiny else [])]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(answer.splitlines()[-1])


def ratios(name: str, times: dict[str, list[float]], peaks: dict[str, float]) -> dict[str, dict[str, Any]]:
    """What one of our ways costs over what each released way costs that is not faster for its bf16."""
    way = WAYS[name]
    bases = [base for base in times if WAYS[base].released and WAYS[base].bf16 <= way.bf16]
    if way.released or way.validates:
        return {}
    return {
        base: {'time': over_rounds(times[name], times[base]), 'memory': peaks[name] / peaks[base]} for base in bases
    }


def later_epoch(times: dict[str, list[float]]) -> tuple[float, float, float] | None:
    """Time of an epoch of AGIQA-3K with validation, with ``cache_frozen: view`` and ``cache_validation``, over that of one without.

    The caches are full, as from the second epoch on. None if a way that it is made of was not measured.
    """
    if not times.keys() >= {'ours', 'view', 'validation', 'validation_cached'}:
        return None
    steps = TRAINED / IMAGES
    plain, kept = (
        [steps * step + VALIDATED * image for step, image in zip(times[trains], times[validates], strict=True)]
        for trains, validates in (('ours', 'validation'), ('view', 'validation_cached'))
    )
    return over_rounds(kept, plain)


def measure(tiny: bool, rounds: int, ways: Sequence[str] = tuple(WAYS)) -> dict[str, Any]:
    """All figures of these ways."""
    config, result = SMALL if tiny else FULL_SIZE, {'machine': machine(), 'images': IMAGES, 'crops': CROPS}
    fast = fast_dtype(torch.device('cpu')) == torch.bfloat16
    names = [name for name in ways if fast or not WAYS[name].bf16]
    if not any(WAYS[name].released for name in names):
        raise SystemExit('--ways needs released: the scores of both implementations are compared first.')
    memory = {name: measure_memory(name, tiny) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(config, names, Path(folder))
        result['difference'] = bench.difference()
        if result['difference'] > SAME:
            raise SystemExit(f'The two ways differ by {result["difference"]:g} in their scores: nothing was measured.')
        steps = {name: bench.step(name) for name in names}
        gmac = {name: count_gmac(step) for name, step in steps.items()}  # these are the warm-up, too
        times = measure_times(steps, rounds)
    result['later_epoch'] = later_epoch(times)
    peaks = {name: figures['peak'] for name, figures in memory.items()}
    result['load_after'] = os.getloadavg()[0]
    result['ways'] = {
        name: asdict(WAYS[name])
        | {'seconds': times[name], 'gmac': gmac[name], 'memory_gib': memory[name]}
        | {'ratios': ratios(name, times, peaks)}
        for name in names
    }
    return result


def show(result: dict[str, Any]) -> None:
    """What each way costs, and the ratios."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(_costs(result))
    console.print(_ratios(result['ways']))
    if result.get('later_epoch'):
        median, low, high = result['later_epoch']
        console.print(f'An epoch with both caches, over one without: {median:.3f} ({low:.3f} to {high:.3f})')


def _costs(result: dict[str, Any]) -> Table:
    machine = ', '.join(f'{name} {value}' for name, value in result['machine'].items())
    imports = max(way['memory_gib']['imports'] for way in result['ways'].values())
    table = Table(
        'way',
        'GMAC',
        'seconds',
        'peak GiB',
        title=f'One training step, batch {result["images"]}, {result["crops"]} crops; or validation of one image',
        caption=f'Scores differ by {result["difference"]:.1e}. Of each peak up to {imports:.2f} GiB are Python and its '
        f'libraries. {machine}, load after {result["load_after"]:.1f}.',
    )
    for way in result['ways'].values():
        seconds, peak = statistics.median(way['seconds']), way['memory_gib']['peak']
        table.add_row(way['title'], f'{way["gmac"]:.3g}', f'{seconds:.3g}', f'{peak:.2f}')
    return table


def _ratios(ways: dict[str, dict[str, Any]]) -> Table:
    table = Table('way', 'over', 'GMAC', 'time', 'interval', 'memory', title='Ratios', caption=BARS)
    for way in ways.values():
        for base, ratio in way['ratios'].items():
            median, low, high = ratio['time']
            gmac = f'{way["gmac"] / ways[base]["gmac"]:.3f}'
            interval = f'{low:.3f} to {high:.3f}'
            table.add_row(way['title'], ways[base]['title'], gmac, f'{median:.3f}', interval, f'{ratio["memory"]:.2f}')
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--output', type=Path, help='JSON file for all figures')
    parser.add_argument('--tiny', action='store_true', help='the same on tiny networks, in seconds')
    parser.add_argument('--ways', nargs='+', choices=WAYS, default=list(WAYS), help='only these; a full round is long')
    parser.add_argument('--memory-of', choices=WAYS, help='only print the peak memory of this process in that way')
    options = parser.parse_args()
    if options.memory_of:
        print(json.dumps(own_memory(SMALL if options.tiny else FULL_SIZE, options.memory_of)))
        return
    result = measure(options.tiny, options.rounds, options.ways)
    show(result)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
