"""Standardised principal components as the first convolution: what training needs not learn from few pictures."""

import torch
from torch import Tensor, nn

EPSILON = 1e-4


class Standardised(nn.Module):
    """A 1x1 convolution that sees each channel less its mean and divided by its deviation.

    The ViT's own channels differ by factors of a hundred.

    Args:
        conv: the convolution to wrap; its weights become the principal components of what it sees.
        features: (..., C, h, w), what mean, deviation and components are taken from.
    """

    def __init__(self, conv: nn.Conv2d, features: Tensor):
        super().__init__()
        self.conv = conv
        channels = features.movedim(-3, -1).flatten(0, -2)  # (places, C)
        self.register_buffer('mean', channels.mean(0)[:, None, None])
        self.register_buffer('deviation', channels.std(0)[:, None, None] + EPSILON)
        self._start_with_components((channels - self.mean.flatten()) / self.deviation.flatten())

    @torch.no_grad()
    def _start_with_components(self, standard: Tensor) -> None:
        _, sizes, components = torch.svd_lowrank(standard, q=self.conv.out_channels, niter=3)
        typical = sizes.square().mean().sqrt() / len(standard) ** 0.5
        self.conv.weight.copy_((components / typical).T[:, :, None, None])
        self.conv.bias.zero_()

    def forward(self, features: Tensor) -> Tensor:
        return self.conv((features - self.mean) / self.deviation)

    @torch.no_grad()
    def folded(self) -> nn.Conv2d:
        """The plain convolution that gives the same answers."""
        weight = self.conv.weight / self.deviation
        self.conv.bias.sub_((weight * self.mean).sum((1, 2, 3)))
        self.conv.weight.copy_(weight)
        return self.conv
