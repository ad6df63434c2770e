"""Standardised principal components as FFN_v's first convolution: what training need not learn from few pictures."""

import torch
from torch import Tensor, nn

EPSILON = 1e-4


class Reduction:
    """Brings features to their principal components, each channel standardised: the ViT's own differ by factors of 100.

    Args:
        features: (..., C, h, w), what mean, deviation and components are taken from.
        count: of components.
    """

    def __init__(self, features: Tensor, count: int):
        places = features.movedim(-3, -1).flatten(0, -2)
        self.mean, self.deviation = places.mean(0), places.std(0) + EPSILON
        standard = (places - self.mean) / self.deviation
        _, sizes, components = torch.svd_lowrank(standard, q=count, niter=3)
        typical = sizes.square().mean().sqrt() / len(standard) ** 0.5
        self.weight = (components / typical).T / self.deviation  # (count, C)

    def __call__(self, features: Tensor) -> Tensor:
        """(..., C, h, w) -> (..., count, h, w)."""
        convolution = self.as_convolution().requires_grad_(False)
        return convolution(features.flatten(0, -4)).unflatten(0, features.shape[:-3])

    def as_convolution(self) -> nn.Conv2d:
        """The 1x1 convolution that gives the same answers."""
        count, channels = self.weight.shape
        convolution = nn.Conv2d(channels, count, 1)
        with torch.no_grad():
            convolution.weight.copy_(self.weight[:, :, None, None])
            convolution.bias.copy_(-self.weight @ self.mean)
        return convolution
