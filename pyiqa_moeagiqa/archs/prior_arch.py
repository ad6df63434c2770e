"""The network that is pre-trained on natural photographs (KonIQ-10k), so that its class token carries the natural
degradation prior of eq. 1: a ViT and a two-layer regressor on the class token.
"""

from torch import Tensor, nn

from .degradation import build_vit, class_token

FROZEN_BLOCKS = 8


class PriorRegressor(nn.Module):
    """Class token (N, D) -> quality (N, 1)."""

    def __init__(self, width: int):
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)

    def forward(self, token: Tensor) -> Tensor:
        return self.score(nn.functional.gelu(self.hidden(token)))


class MoEAGIQAPrior(nn.Module):
    """Photograph in, quality out; ``type: MoEAGIQAPrior`` under ``network:``, trained by ``MoEAGIQAPriorModel``.

    As in the released implementation all tensors up to and with ``blocks.8.norm1.weight`` stay as they are, so the
    embeddings and the first eight blocks equal those of the frozen ViT of eq. 3.

    Args:
        weights: where the ViT starts: 'timm' (its tag is ``visual``), or a file of timm's weights.
        visual: timm name of the ViT.
        crop_size: side of the images in pixels.
        visual_options: what differs from the named ViT, as keyword arguments for timm.

    Shape:
        (N, 3, S, S) in [0, 1] -> (N, 1)

    Raises:
        CheckpointError: where the weights cannot be had or are another ViT's.
    """

    def __init__(
        self,
        weights: str,
        visual: str = 'vit_base_patch16_224.augreg_in21k_ft_in1k',
        crop_size: int = 224,
        visual_options: dict | None = None,
    ):
        super().__init__()
        from ..checkpoints.load import fit_vit
        from ..checkpoints.start import load_part, timm_weights

        self.vit = build_vit(visual, crop_size, **(visual_options or {}))
        load_part(self.vit, fit_vit(self.vit, timm_weights(weights, visual)), weights)
        self.regressor = PriorRegressor(self.vit.num_features)
        next_norm = self.vit.blocks[FROZEN_BLOCKS].norm1.weight
        embeddings = (self.vit.cls_token, self.vit.pos_embed, self.vit.patch_embed)
        for frozen in (*embeddings, *self.vit.blocks[:FROZEN_BLOCKS], next_norm):
            frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.regressor(class_token(self.vit, x))
