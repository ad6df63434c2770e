"""Measures how far a picture is from all pictures that the network was trained on."""

import torch
from torch import Tensor, nn


class Novelty(nn.Module):
    r"""The mean square of a picture's features, standardised by the training pictures, divided by the usual value u.

    .. math:: \nu = \frac{1}{u} \, \mathrm{mean}_j \left( \frac{\bar x_j - \mu_j}{\sigma_j} \right)^2

    Above 1 a picture is farther away than 99 % of the pictures that the network was tested on.

    Args:
        channels: number of features, those of the view and of the crops together.

    Shape:
        (N, channels) -> (N,); None in an exported graph, and if no recipe has set mean, deviation and u.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(channels), requires_grad=False)
        self.deviation = nn.Parameter(torch.ones(channels), requires_grad=False)
        self.usual = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, features: Tensor) -> Tensor | None:
        if torch.compiler.is_exporting() or not self.usual > 0:
            return None  # a graph returns only scores, and cannot branch on a value
        return self.squared(features) / self.usual

    def squared(self, features: Tensor) -> Tensor:
        """Compute the mean square before the division by u: (N, channels) -> (N,)."""
        return ((features - self.mean) / self.deviation).square().mean(dim=1)
