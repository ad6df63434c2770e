"""Kernel ridge regression on the frozen features: what the network is taught between the pictures that raters saw.

Some 1,900 pictures are too few for a network of millions of parameters, and enough for kernel ridge. So the network
learns the regression's answers to mixtures of pictures, of which there are as many as one likes.
"""

import torch
from torch import Tensor

WIDTH = 0.25  # exp(-WIDTH d), d the mean squared difference of standardised channels
QUALITY_NOISE, ALIGNMENT_NOISE = 0.08, 0.6
PROMPT = 0.3


class PictureKernel:
    """How alike pictures are, by the means over places (N, 2 * C) of their view's and their crops' features."""

    def __init__(self, means: Tensor):
        self.mean, self.deviation = means.mean(0), means.std(0)
        self.seen = self._standard(means)

    def _standard(self, means: Tensor) -> Tensor:
        return (means - self.mean) / self.deviation

    def __call__(self, means: Tensor) -> Tensor:
        """(M, N) with the pictures that it was made from."""
        distance = torch.cdist(self._standard(means), self.seen).square() / self.seen.shape[1]
        return (-WIDTH * distance).exp()


def solve(kernel: Tensor, mos: Tensor, noise: float) -> Tensor:
    """Weights (N,) of the pictures in kernel ridge regression."""
    ridge = kernel.double() + noise * torch.eye(len(kernel), dtype=torch.float64)
    return torch.linalg.solve(ridge, (mos - mos.mean()).double()).float()


class QualityTeacher:
    """Quality of pictures, (M,) in [0, 1], from how alike they are to the N that it is made from: (M, N)."""

    def __init__(self, alike: Tensor, mos: Tensor):
        self.mean, self.weights = mos.mean(), solve(alike, mos, QUALITY_NOISE)

    def __call__(self, alike: Tensor) -> Tensor:
        return alike @ self.weights + self.mean


class AlignmentTeacher:
    """Alignment (M,) in [0, 1], from the same and from the cosines (M,) of pictures and prompts.

    The kernel is k + PROMPT c c' (1 + k): a function of the picture, and a slope of the cosine that differs from picture to
    picture.
    """

    def __init__(self, alike: Tensor, cosine: Tensor, mos: Tensor):
        self.mean, self.cosine_mean, self.cosine_deviation = mos.mean(), cosine.mean(), cosine.std()
        self.seen = self._standard(cosine)
        self.weights = solve(self._joint(alike, cosine), mos, ALIGNMENT_NOISE)

    def _standard(self, cosine: Tensor) -> Tensor:
        return (cosine - self.cosine_mean) / self.cosine_deviation

    def _joint(self, alike: Tensor, cosine: Tensor) -> Tensor:
        return alike + PROMPT * torch.outer(self._standard(cosine), self.seen) * (1 + alike)

    def __call__(self, alike: Tensor, cosine: Tensor) -> Tensor:
        return self._joint(alike, cosine) @ self.weights + self.mean
