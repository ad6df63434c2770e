"""Does the image show what the prompt says? A cosine that is added to the experts' answer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .experts import ExpertScores


def mean_word(words: Tensor, mask: Tensor) -> Tensor:
    """The mean of a prompt's words, padding left out: (M, L2, E), (M, L2) -> (M, E)."""
    weights = mask.unsqueeze(-1).to(words.dtype)
    return (words * weights).sum(1) / weights.sum(1)


class PromptMatching(nn.Module):
    r"""Cosine of an image's and a prompt's embedding in a common space, as in contrastive pre-training.

    .. math:: m = \cos(W_i v, W_p \bar w)

    with a summary v of the image, and the prompt's mean word.

    Args:
        image_width: channels of the summary.
        text_width: channels of the words.
        channels: width of the common space.
        targets: number of targets; each has its own learnt weight for the cosine.

    Shape:
        image (N, D), words (M, L2, E), mask (M, L2) -> (N, channels) and (M, channels) of length 1, whose products are
        the cosines
    """

    def __init__(self, image_width: int, text_width: int, channels: int, targets: int):
        super().__init__()
        self.embed_image = nn.Linear(image_width, channels)
        self.embed_prompt = nn.Linear(text_width, channels)
        self.weight = nn.Parameter(torch.full((targets,), 0.2))

    def forward(self, image: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        prompt = self.embed_prompt(mean_word(words, mask))
        return F.normalize(self.embed_image(image), dim=-1), F.normalize(prompt, dim=-1)

    def add_to(self, targets: dict[str, ExpertScores], cosine: Tensor) -> dict[str, ExpertScores]:
        """Each target's scores (N, n) plus its share of the cosine (N,) between an image and its prompt."""
        shares = zip(targets.items(), self.weight, strict=True)
        return {
            name: scores._replace(score=scores.score + weight * cosine[:, None]) for (name, scores), weight in shares
        }
