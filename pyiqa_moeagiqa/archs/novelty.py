"""How far is a picture from everything that the network was trained on?"""

import torch
from torch import Tensor, nn


class Novelty(nn.Module):
    r"""The mean square of a picture's features, each standardised as on the training pictures, beside what is usual.

    .. math:: \nu = \frac{1}{u} \, \mathrm{mean}_j \left( \frac{\bar x_j - \mu_j}{\sigma_j} \right)^2

    Above 1 a picture is farther away than 99 % of the pictures that the network was tested on.

    Args:
        channels: features of the view and of the crops together.

    Shape:
        (N, channels) -> (N,), or None for a network whose recipe has not set mean, deviation and u.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(channels), requires_grad=False)
        self.deviation = nn.Parameter(torch.ones(channels), requires_grad=False)
        self.usual = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, features: Tensor) -> Tensor | None:
        if torch.compiler.is_exporting() or not self.usual > 0:
            return None  # a graph answers with scores alone, and cannot ask for a value
        return self.squared(features) / self.usual

    def squared(self, features: Tensor) -> Tensor:
        """(N, channels) -> (N,), before it is compared with what is usual."""
        return ((features - self.mean) / self.deviation).square().mean(dim=1)
