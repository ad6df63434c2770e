"""ImageReward's network: BLIP, and a head on the prompt's first token.

Xu et al., 'ImageReward: Learning and Evaluating Human Preferences for Text-to-Image Generation', NeurIPS 2023.
"""

from itertools import pairwise

from torch import Tensor, nn

from .blip import BlipSemantic

REWARD_MEAN, REWARD_STD = 0.16717362830052426, 1.0333394966054072  # of ImageReward 1.0's own head
HEAD_SIZES = (1024, 128, 64, 16, 1)


class ImageReward(nn.Module):
    """BLIP, and a head on the prompt's first token after it has attended to the image.

    Args:
        vision, text: differences from full-size BLIP, as ``BlipSemantic`` takes them.

    Shape:
        pixels (N, 3, S, S), token ids and mask (N, L2) -> rewards (N, 1)
    """

    def __init__(self, vision: dict | None = None, text: dict | None = None):
        super().__init__()
        self.semantic = BlipSemantic(vision, text)
        # Linear layers without activations; the original has only dropout between them, which scoring does not need.
        self.head = nn.Sequential(*(nn.Linear(*sizes) for sizes in pairwise((self.semantic.width, *HEAD_SIZES))))

    def forward(self, pixels: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        return self.reward(self.semantic.image_features(pixels), ids, mask)

    def reward(self, image: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Compute the rewards (N, 1) from the features (N, 1 + patches, D) of images."""
        words = self.semantic.text_features(ids, mask, image)  # (N, L2, width)
        return (self.head(words[:, 0]) - REWARD_MEAN) / REWARD_STD
