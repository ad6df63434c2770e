"""The linear score: ridge regression on the frozen features, solved exactly and put into the network as it is.

On generators that training has not seen a straight line is worth more than a network trained on the same features
(MODEL_CARD.md): so it is where the network starts, and what it is held to.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.linear_score import LinearScore

VIEW = 0.25  # how much the view's features count beside the crops'
PROMPT = 0.3  # how much the prompt's words count for alignment beside the image's features
QUALITY_PENALTY, ALIGNMENT_PENALTY = 0.3, 1.0  # of the number of features
BALANCE = 0.5  # a generator family of n images counts as n^(1 - BALANCE)
PHOTOGRAPH, PHOTOGRAPH_WEIGHT = 0.75, 0.15  # the quality that a photograph is given, and how many images one counts for

# How many images a damaged copy counts for. Nobody rated them: counted as much as images they would cost
# what is learnt from those.
QUALITY_COPY, ALIGNMENT_COPY = 0.1, 0.25


class Block(NamedTuple):
    """Features (N, D) that share a weight: how much they count beside other blocks."""

    features: Tensor
    weight: float


def solve(blocks: Sequence[Block], targets: Tensor, weights: Tensor, penalty: float) -> tuple[list[Tensor], float]:
    """Slopes of each block and the intercept of ridge regression on standardised features.

    A row of weight w counts as w rows, also in mean and deviation.
    """
    share = weights / weights.sum()
    means = [share @ block.features for block in blocks]
    scales = [
        (block.weight / len(mean)) ** 0.5 / ((share @ (block.features - mean).square()).sqrt() + 1e-6)
        for block, mean in zip(blocks, means, strict=True)
    ]
    parts = zip(blocks, means, scales, strict=True)
    seen = [(block.features - mean) * scale for block, mean, scale in parts]
    kernel = sum((part @ part.T).double() for part in seen) + torch.diag(penalty / weights.double())
    target_mean = share @ targets
    dual = torch.linalg.solve(kernel, (targets - target_mean).double()).float()
    slopes = [dual @ part * scale for part, scale in zip(seen, scales, strict=True)]
    return slopes, float(target_mean - sum(slope @ mean for slope, mean in zip(slopes, means, strict=True)))


def image_blocks(features: Tensor) -> list[Block]:
    """The view's and the crops' features from ``image_means`` (N, 2 D)."""
    view, crops = features.chunk(2, dim=1)
    return [Block(view, VIEW / (1 + VIEW)), Block(crops, 1 / (1 + VIEW))]


class Rated(NamedTuple):
    """Pictures with their MOS: ``image_means`` (N, 2 D), the prompts' mean words (N, E), quality and alignment (N, 2)."""

    features: Tensor
    words: Tensor
    mos: Tensor


def fit(
    linear: LinearScore, config: MoEAGIQAConfig, rated: Rated, family: Sequence[str], photos: Tensor, copies: Rated
) -> None:
    """Set the linear score: quality follows from the picture, alignment from picture and prompt.

    What a prompt says tells how hard it is to follow. With it alignment on unseen prompts is better, quality is not.

    Args:
        linear: what is set.
        config: the network's.
        rated: the training images.
        family: of each image's generator; none of them drowns the others.
        photos: ``image_means`` of clean photographs, which teach quality alone, each at several sizes.
        copies: damaged copies of images: the part of the original's quality that is left, and the original's alignment.
    """
    _, number, count = np.unique(family, return_inverse=True, return_counts=True)
    balanced = torch.tensor(count[number] ** -BALANCE).float()
    balanced = balanced / balanced.mean()
    label, weight = torch.full((len(photos),), PHOTOGRAPH), torch.full((len(photos),), PHOTOGRAPH_WEIGHT)
    one, copy = torch.ones(len(rated.mos)), torch.ones(len(copies.mos))
    quality = solve(
        image_blocks(torch.cat([rated.features, photos, copies.features])),
        torch.cat([rated.mos[:, 0], label, copies.mos[:, 0]]),
        torch.cat([balanced, weight, QUALITY_COPY * copy]),
        QUALITY_PENALTY,
    )
    words = Block(torch.cat([rated.words, copies.words]), PROMPT)
    alignment = solve(
        [*image_blocks(torch.cat([rated.features, copies.features])), words],
        torch.cat([rated.mos[:, 1], copies.mos[:, 1]]),
        torch.cat([one, ALIGNMENT_COPY * copy]),
        ALIGNMENT_PENALTY,
    )
    # The image's score is the mean of the view's and the crops' scores, in which the view is one of 1 + crops.
    shares = 1 / (1 + config.crops), config.crops / (1 + config.crops)
    with torch.no_grad():
        linear.prompt.weight.zero_()
        linear.prompt.weight[1] = alignment[0].pop()
        for target, (slopes, intercept) in enumerate((quality, alignment)):
            for part, slope, share in zip((linear.view, linear.crops), slopes, shares, strict=True):
                part.weight[target] = slope / share
                part.bias[target] = intercept
