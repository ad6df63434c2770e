"""Measures whether the image shows what the prompt says, by a cosine that is added to the experts' scores."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .experts import ExpertScores


def mean_word(words: Tensor, mask: Tensor) -> Tensor:
    """Average a prompt's words, without padding: (M, L2, E), (M, L2) -> (M, E)."""
    weights = mask.unsqueeze(-1).to(words.dtype)
    return (words * weights).sum(1) / weights.sum(1)


class CosineScore(nn.Module):
    r"""What the cosine m of an image's and a prompt's embedding adds to the experts' scores.

    With ``gates`` the cosine also sets, for each target, a gate between the experts' score s, which judges the picture, and a
    learnt number f, the score of a picture that shows something else.

    .. math:: g = \gamma \, \sigma(\kappa (m - m_0)), \quad s' = f + g (s - f)

    The gain lets g average 1 over pictures with their own prompts.

    Args:
        targets: number of targets; each has its own learnt weight of the cosine and its own gate.
        gates: whether there are gates. They start open: g = 1 for every cosine.
    """

    def __init__(self, targets: int, gates: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.full((targets,), 0.2))
        self.gates = gates
        if gates:
            self.floor, self.threshold = nn.Parameter(torch.zeros(targets)), nn.Parameter(torch.zeros(targets))
            self.steepness, self.gain = nn.Parameter(torch.zeros(targets)), nn.Parameter(torch.full((targets,), 2.0))

    def add_to(self, targets: dict[str, ExpertScores], cosine: Tensor) -> dict[str, ExpertScores]:
        """Add to each target's scores (N, n) its weight times the cosine (N,) of image and prompt, then apply any gates."""
        shares = zip(targets.items(), self.weight, strict=True)
        targets = {
            name: scores._replace(score=scores.score + weight * cosine[:, None]) for (name, scores), weight in shares
        }
        return self._gated(targets, cosine) if self.gates else targets

    def _gated(self, targets: dict[str, ExpertScores], cosine: Tensor) -> dict[str, ExpertScores]:
        opened = self.gain * (self.steepness * (cosine[:, None] - self.threshold)).sigmoid()  # (N, targets)
        parts = zip(targets.items(), opened.unbind(1), self.floor, strict=True)
        return {
            name: scores._replace(score=floor + gate[:, None] * (scores.score - floor))
            for (name, scores), gate, floor in parts
        }


class PromptMatching(CosineScore):
    r"""Cosine of an image's and a prompt's embedding in a common space, as in contrastive pre-training.

    .. math:: m = \cos(W_i v, W_p \bar w)

    Here v is a summary of the image and w the prompt's mean word; both projections are trained.

    Args:
        image_width: channels of the summary.
        text_width: channels of the words.
        channels: width of the common space.
        targets, gates: as ``CosineScore`` takes them.

    Shape:
        image (N, D), words (M, L2, E), mask (M, L2) -> vectors (N, channels) and (M, channels) of length 1, whose
        dot products are the cosines
    """

    def __init__(self, image_width: int, text_width: int, channels: int, targets: int, gates: bool = False):
        super().__init__(targets, gates)
        self.embed_image = nn.Linear(image_width, channels)
        self.embed_prompt = nn.Linear(text_width, channels)

    def forward(self, image: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        prompt = self.embed_prompt(mean_word(words, mask))
        return F.normalize(self.embed_image(image), dim=-1), F.normalize(prompt, dim=-1)
