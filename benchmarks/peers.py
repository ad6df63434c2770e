"""Time of one score: the compact default beside pyiqa's metrics, same image, same machine.

    python benchmarks/peers.py [IMAGE] [--rounds 10] [--output FILE.json]

The peers' networks have random weights: for time alone, nothing is downloaded. Without IMAGE a picture of 512 x 512 noise.
clipiqa and liqe import clip, which imports pkg_resources: they need setuptools < 81.
"""

import argparse
import importlib
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyiqa
import timm
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'benchmarks')]

from measure import machine, measure_times, over_rounds  # noqa: E402

PEERS = ['entropy', 'piqe', 'topiq_nr', 'musiq', 'liqe', 'clipiqa', 'maniqa']
OURS = {'moeagiqa': {}, 'moeagiqa, auto': {'dtype': 'auto'}, 'moeagiqa, fast': {'fast': True}}
PROMPT = 'a red fox in the snow, oil painting'
# CLIP's sizes: embedding, pixels, vision layers, width and patch, then context, vocabulary, text width, heads and layers.
CLIP_TEXT = (77, 49408, 512, 8, 12)
CLIPS = {'RN50': (1024, 224, (3, 4, 6, 3), 64, None), 'ViT-B/32': (512, 224, 12, 768, 32)}


@contextmanager
def random_weights() -> Iterator[None]:
    """Within, pyiqa's networks are made without their weights, which lie on a hub."""
    create = timm.create_model

    def clip(name: str, device: Any = None) -> torch.nn.Module:
        from pyiqa.archs.clip_model import CLIP

        return CLIP(*CLIPS[name], *CLIP_TEXT).float().eval()

    def without(*args: Any, **options: Any) -> torch.nn.Module:
        return create(*args, **options | {'pretrained': False})

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(timm, 'create_model', without))
        for name in ('clipiqa', 'liqe', 'maniqa', 'musiq', 'topiq'):
            with suppress(ImportError):  # of clip, see above; create_metric says it again
                module = importlib.import_module(f'pyiqa.archs.{name}_arch')
                stack.enter_context(mock.patch.object(module, 'load_pretrained_network', return_value=None))
                if hasattr(module, 'load'):
                    stack.enter_context(mock.patch.object(module, 'load', clip))
                if hasattr(
                    module, 'DEFAULT_CACHE_DIR'
                ):  # LIQE keeps texts as its CLIP reads them: not those of a random one
                    cache = stack.enter_context(tempfile.TemporaryDirectory())
                    stack.enter_context(mock.patch.object(module, 'DEFAULT_CACHE_DIR', cache))
        yield


def make(name: str, device: torch.device) -> Any:
    """The metric, or None where it cannot be made, which is said."""
    try:
        with random_weights():
            return pyiqa.create_metric(name, device=device)
    except Exception as error:  # pyiqa's metrics fail in ways of their own
        print(f'{name}: left out ({type(error).__name__}: {error})', file=sys.stderr)
        return None


def measure(image: Path, rounds: int) -> dict[str, Any]:
    """Seconds and parameters of each."""
    device = torch.device('cpu')
    metrics = {name: metric for name in PEERS if (metric := make(name, device)) is not None}
    metrics |= {name: pyiqa.create_metric('moeagiqa', device=device, **options) for name, options in OURS.items()}

    def step(name: str):
        prompt = {'caption_list': [PROMPT]} if name in OURS else {}
        metric = metrics[name]

        def score() -> None:
            metric(str(image), **prompt)

        return score

    steps = {name: step(name) for name in metrics}
    for once in steps.values():
        once()
    times = measure_times(steps, rounds)
    return {
        'machine': machine(),
        'metrics': {
            name: {
                'seconds': times[name],
                'parameters': sum(part.numel() for part in _network(metrics[name]).parameters()),
                'times ours': over_rounds(times[name], times['moeagiqa']),
            }
            for name in metrics
        },
    }


def _network(metric: Any) -> torch.nn.Module:
    hidden = getattr(metric.net, 'clip_model', None)  # pyiqa keeps CLIP-IQA's in a list, so that it is not saved
    return hidden[0] if isinstance(hidden, list) else metric.net


def show(result: dict[str, Any]) -> None:
    """One table."""
    caption = ', '.join(f'{name} {value}' for name, value in result['machine'].items())
    table = Table('metric', 'parameters', 'seconds', "times moeagiqa's", title='One score', caption=caption)
    for name, figures in sorted(result['metrics'].items(), key=lambda item: statistics.median(item[1]['seconds'])):
        ratio = '{:.2f} ({:.2f} to {:.2f})'.format(*figures['times ours'])
        table.add_row(
            name, f'{figures["parameters"] / 1e6:.1f} M', f'{statistics.median(figures["seconds"]):.3g}', ratio
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('image', type=Path, nargs='?')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--output', type=Path, help='JSON file for all figures')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
        picture = options.image or Path(folder) / 'noise.png'
        if options.image is None:
            Image.fromarray(noise).save(picture)
        result = measure(picture, options.rounds)
    show(result)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
