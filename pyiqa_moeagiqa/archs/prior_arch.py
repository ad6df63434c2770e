"""The network that is pre-trained on natural photographs (KonIQ-10k), so that its class token carries the natural
degradation prior of eq. 1: a ViT and a two-layer regressor on the class token.
"""

from torch import Tensor, nn

from .degradation import build_vit, class_token
from .views import normalize


class PriorRegressor(nn.Module):
    """Class token (N, D) -> quality (N, 1)."""

    def __init__(self, width: int):
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)

    def forward(self, token: Tensor) -> Tensor:
        return self.score(nn.functional.gelu(self.hidden(token)))
