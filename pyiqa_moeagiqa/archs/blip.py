"""BLIP as ImageReward trained it: prompt tokens whose layers attend to the tokens of BLIP's own ViT (eq. 4).

Li et al., 'BLIP: Bootstrapping Language-Image Pre-training for Unified Vision-Language Understanding and Generation', ICML 2022.
It uses transformers, whose import takes seconds, so only code that needs a BLIP imports this file.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BlipTextConfig, BlipVisionConfig
from transformers.models.blip.modeling_blip import BlipAttention, BlipVisionModel
from transformers.models.blip.modeling_blip_text import BlipTextModel

from .encoder_options import CLIP_MEAN, CLIP_STD, BlipText, BlipVision
from .hardware import fused_attention_pays
from .semantic import ReadsBertTokens

BLIP_VISION = BlipVision().model_dump()
BLIP_TEXT = BlipText().model_dump() | {
    'is_decoder': True,  # builds the cross attention; ``text_features`` passes False for a bidirectional mask
    'bos_token_id': None,
    'eos_token_id': None,
    'sep_token_id': None,
}


class BlipSemantic(ReadsBertTokens):
    """BLIP's image and text encoder, as ImageReward uses them.

    Args:
        vision: differences from ``BlipVision``'s defaults.
        text: differences from ``BlipText``'s defaults.

    Shape:
        pixels (N, 3, S, S) -> image features (N, 1 + patches, D);
        token ids and mask (N, L2), image features -> (N, L2, width)

    ``image_features`` first calls ``frozen_image_features`` (the embeddings and the layers that ``freeze`` fixed), then
    ``trained_image_features`` (the other layers and the last norm).
    """

    def __init__(self, vision: dict | None = None, text: dict | None = None):
        super().__init__()
        vision_config = BlipVisionConfig(**BLIP_VISION | (vision or {}))
        text_config = BlipTextConfig(**BLIP_TEXT | {'encoder_hidden_size': vision_config.hidden_size} | (text or {}))
        self.vision = BlipVisionModel(vision_config)
        for layer in self.vision.encoder.layers:
            layer.self_attn.__class__ = ImageAttention  # it has the same tensors, and their initial values stay
        self.text = BlipTextModel(text_config, add_pooling_layer=False)
        self.width = text_config.hidden_size
        self.view_size = vision_config.image_size
        self.mean, self.std = CLIP_MEAN, CLIP_STD
        self.frozen_layers = 0

    @property
    def encoders(self) -> list[nn.Module]:
        """The parts that can run in half precision."""
        return [self.vision, self.text]

    def image_features(self, pixels: Tensor) -> Tensor:
        return self.trained_image_features(self.frozen_image_features(pixels))

    def frozen_image_features(self, pixels: Tensor) -> Tensor:
        hidden = self.vision.embeddings(pixels.to(self.vision.dtype))
        for layer in self.vision.encoder.layers[: self.frozen_layers]:
            hidden = layer(hidden)
        return hidden.float()

    def trained_image_features(self, hidden: Tensor) -> Tensor:
        hidden = hidden.to(self.vision.dtype)
        for layer in self.vision.encoder.layers[self.frozen_layers :]:
            hidden = layer(hidden)
        return self.vision.post_layernorm(hidden).float()

    def text_features(self, ids: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        image = image.to(self.text.dtype)
        return self.text(ids, mask, encoder_hidden_states=image, is_decoder=False).last_hidden_state.float()

    def freeze(self, share: float) -> list[nn.Module]:
        """Freeze the embeddings and the first ``share`` of both encoders' layers; return the frozen modules."""
        vision, text = self.vision.encoder.layers, self.text.encoder.layer
        self.frozen_layers = int(share * len(vision))  # rounded down, as in the released implementation
        first = [*vision[: self.frozen_layers], *text[: int(share * len(text))]]
        frozen = [self.vision.embeddings, self.text.embeddings, *first]
        for module in frozen:
            module.requires_grad_(False)
        return frozen


class ImageAttention(BlipAttention):
    """Transformers' attention of image tokens to each other, by torch's fused kernel where that is faster.

    Shape:
        (N, L, D) -> (N, L, D), and the attention's weights, or None where the kernel does not keep them
    """

    def forward(self, hidden_states: Tensor, **others: Any) -> tuple[Tensor, Any]:
        if not fused_attention_pays(hidden_states.device, hidden_states.dtype):
            return super().forward(hidden_states, **others)
        q, k, v = self.qkv(hidden_states).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        dropout = self.dropout.p if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)  # (N, heads, L, D / heads)
        return self.projection(attended.transpose(1, 2).flatten(2)), None
