"""Does the image show what the prompt says? A cosine that the alignment score adds to its experts' answer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PromptMatching(nn.Module):
    r"""Cosine of an image's and a prompt's embedding in a common space, as in contrastive pre-training.

    .. math:: m = \cos(W_i [c, \bar t], W_p \bar w)

    with the class token c and the mean patch token of the semantic view, and the prompt's mean word.

    Args:
        image_width: channels of the image tokens.
        text_width: channels of the words.
        channels: width of the common space.

    Shape:
        image (N, 1 + patches, D), words (M, L2, E), mask (M, L2) -> (N, M): each image with each prompt
    """

    def __init__(self, image_width: int, text_width: int, channels: int):
        super().__init__()
        self.embed_image = nn.Linear(2 * image_width, channels)
        self.embed_prompt = nn.Linear(text_width, channels)

    def forward(self, image: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        weights = mask.unsqueeze(-1).to(words.dtype)
        prompt = (words * weights).sum(1) / weights.sum(1)
        seen = torch.cat([image[:, 0], image[:, 1:].mean(1)], dim=-1)
        return F.normalize(self.embed_image(seen), dim=-1) @ F.normalize(self.embed_prompt(prompt), dim=-1).T
