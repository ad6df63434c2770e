"""The network that is pre-trained on natural photographs (KonIQ-10k), so that its class token carries the natural
degradation prior of eq. 1: a ViT and a two-layer regressor on the class token.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from .degradation import build_vit, class_token
from .views import normalize

FROZEN_BLOCKS = 8


class PriorRegressor(nn.Module):
    """Class token (N, D) -> quality (N, 1), and with ``kinds`` above 0 as many logits beside it."""

    def __init__(self, width: int, kinds: int = 0):
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1 + kinds)

    def forward(self, token: Tensor) -> Tensor:
        return self.score(nn.functional.gelu(self.hidden(token)))


class MoEAGIQAPrior(nn.Module):
    """Photograph in, quality out; ``type: MoEAGIQAPrior`` under ``network:``, trained by ``MoEAGIQAPriorModel``.

    As in the released implementation all tensors up to and with ``blocks.8.norm1.weight`` stay as they are, so the
    embeddings and the first eight blocks equal those of the frozen ViT of eq. 3.

    Args:
        visual: timm name of the ViT.
        crop_size: side of the images in pixels.
        visual_options: what differs from the named ViT, as keyword arguments for timm.
        pixel_mean, pixel_std: as the network's that the prior is for; the released implementation normalises nothing.
        kinds: of degradations to be told apart, see ``data.degradations``; 0 to learn from MOS alone.

    Shape:
        (N, 3, S, S) in [0, 1] -> (N, 1 + kinds)
    """

    def __init__(
        self,
        visual: str = 'vit_base_patch16_224.augreg_in21k_ft_in1k',
        crop_size: int = 224,
        visual_options: dict | None = None,
        pixel_mean: Sequence[float] = (0, 0, 0),
        pixel_std: Sequence[float] = (1, 1, 1),
        kinds: int = 0,
    ):
        super().__init__()
        self.visual = visual
        self.pixel_mean, self.pixel_std, self.kinds = tuple(pixel_mean), tuple(pixel_std), kinds
        self.vit = build_vit(visual, crop_size, **(visual_options or {}))
        self.regressor = PriorRegressor(self.vit.num_features, kinds)
        next_norm = self.vit.blocks[FROZEN_BLOCKS].norm1.weight
        embeddings = (self.vit.cls_token, self.vit.pos_embed, self.vit.patch_embed)
        for frozen in (*embeddings, *self.vit.blocks[:FROZEN_BLOCKS], next_norm):
            frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.regressor(class_token(self.vit, normalize(x, self.pixel_mean, self.pixel_std)))
