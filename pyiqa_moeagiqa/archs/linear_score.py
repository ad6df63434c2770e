"""A score that is linear in the encoders' features, to which the mixture of experts adds what a straight line cannot say."""

import torch
from torch import Tensor, nn

from .experts import ExpertScores


class LinearScore(nn.Module):
    r"""Per target a linear function of a crop's mean features and of the prompt; the whole view has a function of its own.

    .. math:: s_0 = w_v \cdot \bar x_0 + b_v + w_p \cdot \bar w, \quad s_i = w_c \cdot \bar x_i + b_c + w_p \cdot \bar w

    The mean over crops is then a linear function of image and prompt: what ridge regression on frozen features answers.

    Args:
        channels: of eq. 3's features.
        targets: number of targets.
        view: whether the first crop is the whole view.
        prompt: channels of the prompt's words; 0 for a score that does not read the prompt.

    Shape:
        the means over places of eq. 3's features, (N, n, C), and the prompts' mean words, (N, E) -> (N, n, targets)
    """

    def __init__(self, channels: int, targets: int, view: bool, prompt: int = 0):
        super().__init__()
        self.crops = nn.Linear(channels, targets)
        self.view = nn.Linear(channels, targets) if view else None
        self.prompt = nn.Linear(prompt, targets, bias=False) if prompt else None
        for parameter in self.parameters():
            nn.init.zeros_(parameter)  # the mixture alone, until it is fitted or trained

    def forward(self, means: Tensor, prompt: Tensor | None = None) -> Tensor:
        scores = self.crops(means if self.view is None else means[:, 1:])
        if self.view is not None:
            scores = torch.cat([self.view(means[:, :1]), scores], dim=1)
        return scores if self.prompt is None else scores + self.prompt(prompt)[:, None]

    def add_to(
        self, targets: dict[str, ExpertScores], means: Tensor, prompt: Tensor | None = None
    ) -> dict[str, ExpertScores]:
        """Each target's scores (N, n) plus the linear ones."""
        parts = zip(targets.items(), self(means, prompt).unbind(dim=-1), strict=True)
        return {name: scores._replace(score=scores.score + linear) for (name, scores), linear in parts}
