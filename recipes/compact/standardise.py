"""Features of zero mean and unit deviation for training, folded into the first convolution afterwards."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-4


class Standardised(nn.Module):
    """A 1x1 convolution that sees each channel less its mean and divided by its deviation.

    Weight decay then means the same for every channel, as in ridge regression; the ViT's own channels differ by
    factors of a hundred.

    Args:
        conv: the convolution to wrap.
        features: (..., C, h, w), what mean and deviation are taken from.
    """

    def __init__(self, conv: nn.Conv2d, features: Tensor, drop: float):
        super().__init__()
        self.conv, self.drop = conv, drop
        channels = features.movedim(-3, -1).flatten(0, -2)  # (places, C)
        self.register_buffer('mean', channels.mean(0)[:, None, None])
        self.register_buffer('deviation', channels.std(0)[:, None, None] + EPSILON)

    def forward(self, features: Tensor) -> Tensor:
        standard = (features - self.mean) / self.deviation
        return self.conv(F.dropout2d(standard, self.drop, self.training))

    @torch.no_grad()
    def folded(self) -> nn.Conv2d:
        """The plain convolution that gives the same answers."""
        weight = self.conv.weight / self.deviation
        self.conv.bias.sub_((weight * self.mean).sum((1, 2, 3)))
        self.conv.weight.copy_(weight)
        return self.conv
