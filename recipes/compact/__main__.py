"""Trains the embedded default from its published parts: ``make compact DATA=folder``, or

    python -m recipes.compact --data FOLDER [--work FOLDER] [--output FILE]

Checks the parts, computes the frozen encoders' features once, measures five folds over prompts, trains on all prompts
and writes the checkpoint with the figures in its header. The figures also go to ``figures.md`` in the work folder.
"""

import argparse
import copy
import json
from pathlib import Path

import numpy as np
import torch

from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints import Checkpoint, find, save

from .build import build
from .data import Data, Words, load
from .evaluate import evaluate, floor, markdown, mean_of
from .parts import check, download_wheels, read_dinov2
from .train import Settings, train

FOLDS = 5
SEEDS = {'choose': 7, 'report': 2024}
LICENCE = 'Apache-2.0; encoders DINOv2 and MiniLM-L6: Apache-2.0; trained on AGIQA-3K: MIT'


def folds(data: Data, seed: int) -> np.ndarray:
    """(N,) fold of each image; a prompt's images are in one fold."""
    count = int(data.prompt.max()) + 1
    return (np.random.RandomState(seed).permutation(count) % FOLDS)[data.prompt.numpy()]


def fresh(network: MoEAGIQA, words: Words, seed: int) -> MoEAGIQA:
    """A copy without encoders, which training only looks up, and with everything else new."""
    torch.manual_seed(seed)
    with torch.device('meta'):
        new = MoEAGIQA(network.config)
    del new.visual
    new.semantic.text = words
    new.to_empty(device='cpu')
    return new


def main() -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, required=True, help="AGIQA-3K's data.csv and images")
    parser.add_argument('--work', type=Path, default=Path('build/compact'), help='wheels, features and figures')
    parser.add_argument('--output', type=Path, default=find('moeagiqa'), help='the checkpoint to write')
    options = parser.parse_args()
