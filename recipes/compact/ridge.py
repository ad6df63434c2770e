"""The linear score: ridge regression on the frozen features, solved exactly and put into the network as it is.

On generators that training has not seen a straight line is worth more than a network trained on the same features
(MODEL_CARD.md): so it is where the network starts, and what it is held to.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.linear_score import LinearScore

VIEW = 0.25  # how much the view's features count beside the crops'
QUALITY_PENALTY, ALIGNMENT_PENALTY = 0.3, 1.0  # of the number of features
BALANCE = 0.5  # a generator family of n images counts as n^(1 - BALANCE)
PHOTOGRAPH, PHOTOGRAPH_WEIGHT = 0.75, 0.15  # the quality that a photograph is given, and how many images one counts for

# How many images a damaged copy counts for. Nobody rated them: counted as much as images they would cost
# what is learnt from those.
QUALITY_COPY, ALIGNMENT_COPY = 0.1, 0.15


def solve(features: Tensor, targets: Tensor, weights: Tensor, penalty: float) -> tuple[Tensor, float]:
    """Slopes (2 D,) and intercept of ridge regression on standardised features (N, 2 D).

    A row of weight w counts as w rows, also in mean and deviation.
    """
    share = weights / weights.sum()
    mean, target_mean = share @ features, share @ targets
    deviation = (share @ (features - mean).square()).sqrt() + 1e-6
    scale = torch.tensor([VIEW, 1.0]).sqrt().repeat_interleave(features.shape[1] // 2) / deviation
    seen, width = (features - mean) * scale, (1 + VIEW) / 2 * features.shape[1]
    kernel = (seen @ seen.T / width).double() + torch.diag(penalty / weights.double())
    dual = torch.linalg.solve(kernel, (targets - target_mean).double()).float()
    slopes = dual @ seen / width * scale
    return slopes, float(target_mean - slopes @ mean)


def fit(
    linear: LinearScore,
    config: MoEAGIQAConfig,
    features: Tensor,
    mos: Tensor,
    family: Sequence[str],
    photos: Tensor,
    copies: Tensor,
    copies_mos: Tensor,
) -> None:
    """Set the linear score of quality and alignment.

    Args:
        linear: what is set.
        config: the network's.
        features: ``image_means`` (N, 2 D) of the training images.
        mos: (N, 2) quality and alignment.
        family: of each image's generator; none of them drowns the others.
        photos: ``image_means`` of clean photographs, which teach quality alone, each at several sizes.
        copies: ``image_means`` of damaged copies of images.
        copies_mos: (copies, 2): the part of the original's quality that is left, and the original's alignment.
    """
    _, number, count = np.unique(family, return_inverse=True, return_counts=True)
    balanced = torch.tensor(count[number] ** -BALANCE).float()
    balanced = balanced / balanced.mean()
    label, weight = torch.full((len(photos),), PHOTOGRAPH), torch.full((len(photos),), PHOTOGRAPH_WEIGHT)
    copy = torch.ones(len(copies))
    answers = [
        solve(
            torch.cat([features, photos, copies]),
            torch.cat([mos[:, 0], label, copies_mos[:, 0]]),
            torch.cat([balanced, weight, QUALITY_COPY * copy]),
            QUALITY_PENALTY,
        ),
        solve(
            torch.cat([features, copies]),
            torch.cat([mos[:, 1], copies_mos[:, 1]]),
            torch.cat([torch.ones(len(features)), ALIGNMENT_COPY * copy]),
            ALIGNMENT_PENALTY,
        ),
    ]
    # The image's score is the mean of the view's and the crops' scores, in which the view is one of 1 + crops.
    shares = 1 / (1 + config.crops), config.crops / (1 + config.crops)
    with torch.no_grad():
        for target, (slopes, intercept) in enumerate(answers):
            for part, slope, share in zip((linear.view, linear.crops), slopes.chunk(2), shares, strict=True):
                part.weight[target] = slope / share
                part.bias[target] = intercept
