"""A score that is linear in the encoders' features; the mixture of experts adds what a linear function cannot express."""

import torch
from torch import Tensor, nn

from .experts import ExpertScores


class LinearScore(nn.Module):
    r"""Scores a crop, per target, by a linear function of its mean features; the whole view has its own function.

    .. math:: s_0 = w_v \cdot \bar x_0 + b_v, \quad s_i = w_c \cdot \bar x_i + b_c

    The mean over crops is then linear in the image's features, so that ridge regression on frozen features can fit it.

    Args:
        channels: number of channels of eq. 3's features.
        targets: number of targets.
        view: whether the first crop is the whole view.

    Shape:
        means over places of eq. 3's features, (N, n, C) -> (N, n, targets)
    """

    def __init__(self, channels: int, targets: int, view: bool):
        super().__init__()
        self.crops = nn.Linear(channels, targets)
        self.view = nn.Linear(channels, targets) if view else None
        for part in (self.crops,) if self.view is None else (self.crops, self.view):
            nn.init.zeros_(part.weight)  # the mixture scores alone until this part is fitted or trained
            nn.init.zeros_(part.bias)

    def forward(self, means: Tensor) -> Tensor:
        if self.view is None:
            return self.crops(means)
        return torch.cat([self.view(means[:, :1]), self.crops(means[:, 1:])], dim=1)

    def add_to(self, targets: dict[str, ExpertScores], means: Tensor) -> dict[str, ExpertScores]:
        """Add the linear scores to each target's scores (N, n)."""
        parts = zip(targets.items(), self(means).unbind(dim=-1), strict=True)
        return {name: scores._replace(score=scores.score + linear) for (name, scores), linear in parts}
