"""Time of one score, from decoded image to number: full size and compact, against the released way and the processor's limit.

    python benchmarks/inference.py [--rounds 5] [--output FILE.json] [--tiny]

The ways take turns in one process, so that a ratio compares scores that were computed side by side. Full-size weights are
random: the released way and ours share them, and their scores are compared first.
"""

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'benchmarks'), str(ROOT / 'tests')]

from measure import count_gmac, fill, machine, measure_times, over_rounds, share_trunk, share_weights  # noqa: E402
from released import Released  # noqa: E402
from tiny import TINY, TINY_BLIP  # noqa: E402

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig  # noqa: E402
from pyiqa_moeagiqa.archs.hardware import fast_dtype  # noqa: E402
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA  # noqa: E402
from pyiqa_moeagiqa.checkpoints import find, load_network  # noqa: E402
from pyiqa_moeagiqa.checkpoints.load import build_network  # noqa: E402
from pyiqa_moeagiqa.images.views import crop_positions, take_crops, view_of  # noqa: E402

CROPS, PIXELS, PROMPT_TOKENS = 15, 512, 12
SAME = 1e-4
FULL_SIZE = MoEAGIQAConfig()
SMALL = MoEAGIQAConfig.from_options(TINY | TINY_BLIP | {'prior': True, 'targets': ('quality',)})
NETWORKS = ('released', 'v2', 'v1', 'compact')


@dataclass(frozen=True)
class Way:
    """One way to score one image."""

    network: str
    dtype: str = 'float32'
    crops: int = CROPS
    pixels: int = PIXELS

    @property
    def title(self) -> str:
        return f'{self.network}, {self.dtype}, {self.crops} crops, {self.pixels} px'


def ways(dtypes: list[str], compact_crops: int) -> list[Way]:
    """All that are measured: each dtype, then other numbers of crops and sizes of images."""
    every = [Way('released')]
    every += [Way(network, dtype) for network in ('v2', 'v1') for dtype in dtypes]
    every += [Way('v2', crops=crops) for crops in (1, 5)] + [Way('v2', pixels=pixels) for pixels in (224, 1024)]
    every += [Way('compact', dtype, crops) for dtype in dtypes for crops in (compact_crops, 1, 5, 15)]
    return every + [Way('compact', crops=compact_crops, pixels=pixels) for pixels in (224, 1024)]


class Bench:
    """The networks, once for each dtype, and an image for them."""

    def __init__(self, full: MoEAGIQAConfig, compact: MoEAGIQA, dtypes: list[str]):
        torch.manual_seed(0)
        v2 = build_network(full).eval()  # on the meta device: what nobody fills takes no memory
        fill(v2)
        share_trunk(v2)
        with torch.device('meta'):
            self.released = Released(full, v2.semantic).eval()
        fill(self.released)
        share_weights(self.released, v2)
        v1 = copy.deepcopy(v2)
        v1.config = MoEAGIQAConfig.from_options(full.to_dict() | {'prior': False})
        del v1.prior, v1.inject
        plain = {'v2': v2, 'v1': v1, 'compact': compact}
        self.networks = {(name, dtype): _in(dtype, network) for name, network in plain.items() for dtype in dtypes}
        self.images = {
            pixels: torch.randint(256, (3, pixels, pixels), dtype=torch.uint8) for pixels in (224, 512, 1024)
        }
        self.ids = torch.randint(1000, 20_000, (1, full.prompt_tokens))
        self.ids[:, PROMPT_TOKENS:] = 0
        self.mask = (self.ids > 0).long()

    def step(self, way: Way) -> Callable[[], torch.Tensor]:
        """What scores the image once: crops (1, n) of the one target, or of the first."""
        image = self.images[way.pixels]
        released = way.network.startswith('released')
        network = self.released if released else self.networks[way.network, way.dtype]
        size, view = (
            (self.networks['v2', 'float32'].config.crop_size, self.networks['v2', 'float32'].view_size)
            if released
            else (network.config.crop_size, network.view_size)
        )
        scales, whole = ((), False) if released else (network.config.crop_scales, network.config.whole_view)

        @torch.inference_mode()
        def step() -> torch.Tensor:
            crops = take_crops(image, crop_positions(*image.shape[-2:], size, way.crops, scales), size, scales)
            given = crops[None], view_of(image, view, whole)[None], self.ids, self.mask
            if released:
                return network(*given)
            return next(iter(network(*given).targets.values())).score

        return step


def _in(dtype: str, network: MoEAGIQA) -> MoEAGIQA:
    if dtype == 'float32':
        return network
    return copy.deepcopy(network).cast_encoders(getattr(torch, dtype))


def limit(dtype: torch.dtype) -> float:
    """1e9 multiplications and additions a second of the ViT-B's largest matrix product, the best of some."""
    rows = 1024
    tokens, weight = torch.rand(rows, 768).to(dtype), torch.rand(3072, 768).to(dtype)
    best = float('inf')
    for _ in range(8):
        start = time.perf_counter()
        torch.nn.functional.linear(tokens, weight)
        best = min(best, time.perf_counter() - start)
    return rows * 768 * 3072 / best / 1e9


def available() -> list[str]:
    """The dtypes that can be measured here: bfloat16 only where it is fast."""
    return ['float32', *(['bfloat16'] if fast_dtype(torch.device('cpu')) == torch.bfloat16 else [])]


def measure(tiny: bool, rounds: int, networks: Sequence[str] = NETWORKS) -> dict[str, Any]:
    """All figures of these networks."""
    dtypes = available()
    compact = build_network(SMALL) if tiny else load_network(find('moeagiqa'))[0]
    if tiny:
        fill(compact)
    bench = Bench(SMALL if tiny else FULL_SIZE, compact.eval(), dtypes)
    difference = (bench.step(Way('released'))() - bench.step(Way('v2'))()).abs().max().item()
    if difference > SAME:
        raise SystemExit(f'The two ways differ by {difference:g} in their scores: nothing was measured.')
    chosen = [way for way in ways(dtypes, compact.config.crops) if way.network in networks]
    steps = {way.title: bench.step(way) for way in chosen}
    gmac = {way.title: count_gmac(steps[way.title]) for way in chosen if way.dtype == 'float32'}
    limits = {dtype: lambda dtype=dtype: limit(getattr(torch, dtype)) for dtype in dtypes}
    for step in steps.values():
        step()  # to warm up
    times, speeds = {title: [] for title in steps}, {dtype: [] for dtype in limits}
    for _ in range(rounds):
        for title, seconds in measure_times(steps, 1).items():
            times[title] += seconds
        for dtype, measured in limits.items():
            speeds[dtype].append(measured())
    result = {'machine': machine(), 'difference': difference, 'limit': speeds, 'ways': {}}
    for way in chosen:
        needed = gmac[Way(way.network, 'float32', way.crops, way.pixels).title]
        result['ways'][way.title] = figures(way, needed, times, speeds)
    return result


def figures(way: Way, gmac: float, times: dict[str, list[float]], speeds: dict[str, list[float]]) -> dict[str, Any]:
    """Seconds, and how many times faster than the released way, and than full size in the same dtype; medians with intervals."""
    seconds = times[way.title]
    others = {'released': Way('released')}
    if way.network == 'compact':
        others['v2'] = Way('v2', way.dtype)
    share = [gmac / one / limit for one, limit in zip(seconds, speeds.get(way.dtype, []), strict=False)]
    return {
        'seconds': seconds,
        'gmac': gmac,
        'faster than': {
            name: over_rounds(times[other.title], seconds) for name, other in others.items() if other.title in times
        },
        'share of limit': statistics.median(share) if share else None,
    }


def show(result: dict[str, Any]) -> None:
    """One table."""
    facts = ', '.join(f'{name} {value}' for name, value in result['machine'].items())
    limits = ', '.join(f'{name} {statistics.median(values):.0f} GMAC/s' for name, values in result['limit'].items())
    table = Table(
        'way', 'GMAC', 'seconds', 'share of limit', 'x released', 'x v2',
        title='One score', caption=f'Scores differ by {result["difference"]:.1e}. Limit: {limits}. {facts}',
    )  # fmt: skip
    for title, way in result['ways'].items():
        faster = way['faster than']
        share = '' if way['share of limit'] is None else f'{way["share of limit"]:.2f}'
        table.add_row(
            title, f'{way["gmac"]:.3g}', f'{statistics.median(way["seconds"]):.3g}', share,
            *(_ratio(faster.get(name)) for name in ('released', 'v2')),
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _ratio(interval: tuple[float, float, float] | None) -> str:
    return '' if interval is None else '{:.2f} ({:.2f} to {:.2f})'.format(*interval)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--output', type=Path, help='JSON file for all figures')
    parser.add_argument('--tiny', action='store_true', help='the same on tiny networks, in seconds')
    parser.add_argument('--networks', nargs='+', choices=NETWORKS, default=NETWORKS, help='only these')
    options = parser.parse_args()
    result = measure(options.tiny, options.rounds, options.networks)
    show(result)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
