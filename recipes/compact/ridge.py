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
PHOTOGRAPH, PHOTOGRAPH_WEIGHT = 0.75, 0.5  # the quality that a photograph is given, and how many images one counts for


def solve(features: Tensor, targets: Tensor, weights: Tensor, penalty: float) -> tuple[Tensor, float]:
    """Slopes (2 D,) and intercept of weighted ridge regression on standardised features (N, 2 D)."""
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    scale = torch.tensor([VIEW, 1.0]).sqrt().repeat_interleave(features.shape[1] // 2) / deviation
    seen = ((features - mean) * scale).double()
    weights = weights.double() / weights.sum()
    seen_mean, target_mean = weights @ seen, weights @ targets.double()
    seen = seen - seen_mean
    width = (1 + VIEW) / 2 * features.shape[1]
    kernel = seen @ seen.T / width + torch.diag(penalty / (weights * len(weights)))
    dual = torch.linalg.solve(kernel, targets.double() - target_mean)
    slopes = (dual @ seen / width * scale).float()
    return slopes, float(target_mean - slopes.double() @ (mean + seen_mean.float() / scale).double())


def fit(
    linear: LinearScore, config: MoEAGIQAConfig, features: Tensor, mos: Tensor, family: Sequence[str], photos: Tensor
) -> None:
    """Set the linear score of quality and alignment.

    Args:
        linear: what is set.
        config: the network's.
        features: ``image_means`` (N, 2 D) of the training images.
        mos: (N, 2) quality and alignment.
        family: of each image's generator; none of them drowns the others.
        photos: ``image_means`` of clean photographs, which teach quality alone, each at several sizes.
    """
    _, number, count = np.unique(family, return_inverse=True, return_counts=True)
    balanced = torch.tensor(count[number] ** -BALANCE)
    balanced = balanced / balanced.mean()
    label, weight = torch.full((len(photos),), PHOTOGRAPH), torch.full((len(photos),), PHOTOGRAPH_WEIGHT)
    answers = [
        solve(
            torch.cat([features, photos]), torch.cat([mos[:, 0], label]), torch.cat([balanced, weight]), QUALITY_PENALTY
        ),
        solve(features, mos[:, 1], torch.ones(len(features)), ALIGNMENT_PENALTY),
    ]
    # The image's score is the mean of the view's and the crops' scores, in which the view is one of 1 + crops.
    shares = 1 / (1 + config.crops), config.crops / (1 + config.crops)
    with torch.no_grad():
        for target, (slopes, intercept) in enumerate(answers):
            for part, slope, share in zip((linear.view, linear.crops), slopes.chunk(2), shares, strict=True):
                part.weight[target] = slope / share
                part.bias[target] = intercept
