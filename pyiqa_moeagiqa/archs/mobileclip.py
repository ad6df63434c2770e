"""MobileCLIP's towers: an image tower of timm, often convolutional, and a text tower that may read prompts in both directions.

Vasu et al., 'MobileCLIP: Fast Image-Text Models through Multi-Modal Reinforced Training', CVPR 2024; Faghri et al., 'MobileCLIP2',
2025.
"""

from typing import Any

import timm
from timm.layers import freeze_batch_norm_2d
from torch import Tensor, nn

from .clip_towers import Towers, clip_text, last_of
from .encoder_options import ClipOptions


class MobileClipTowers(Towers):
    """MobileCLIP's: timm's names for the image tower, whose layers are a ViT's blocks, or FastViT's four or five stages.

    The image's embedding is made of the class token, or of the mean of all places if there is none.
    """

    trunk: Any  # as OpenCLIP calls it

    def __init__(self, options: ClipOptions):
        super().__init__(options)
        self.mean, self.std = options.mobile.mean, options.mobile.std
        self.is_vit = options.mobile.name.startswith('vit')
        sizes: dict[str, Any] = {'num_classes': options.projection_dim}
        if self.is_vit:  # FastViT takes pictures of any size
            sizes['img_size'] = options.mobile.image_size
        # Batches are too small for statistics other than those of the pre-training.
        self.trunk = freeze_batch_norm_2d(timm.create_model(options.mobile.name, pretrained=False, **sizes))
        for part in (self.trunk.cls_token, self.trunk.pos_embed) if self.is_vit else ():
            part.requires_grad_(False)  # as ``embeddings`` are
        self.image_width = self.trunk.num_features
        self.text_model = clip_text(options)
        self.text_projection = nn.Linear(options.text.hidden_size, options.projection_dim, bias=False)
        self.causal = options.causal

    @property
    def image_layers(self) -> Any:
        return self.trunk.blocks if self.is_vit else self.trunk.stages

    @property
    def _last(self) -> nn.Module:
        """The part after the image tower's layers."""
        return self.trunk.norm if self.is_vit else self.trunk.final_conv

    @property
    def heads(self) -> list[nn.Module]:
        return [self._last, self.trunk.get_classifier(), self.text_projection]

    @property
    def embeddings(self) -> list[nn.Module]:
        first = [self.trunk.patch_embed, self.trunk.norm_pre] if self.is_vit else [self.trunk.stem]
        return [*first, self.text_model.embeddings]

    def start(self, pixels: Tensor) -> Tensor:
        if not self.is_vit:
            return self.trunk.stem(pixels)
        return self.trunk.norm_pre(self.trunk._pos_embed(self.trunk.patch_embed(pixels)))

    def layer(self, layer: nn.Module, hidden: Tensor) -> Tensor:
        return layer(hidden)

    def end(self, hidden: Tensor) -> Tensor:
        tokens = self._last(hidden)
        return tokens if self.is_vit else tokens.flatten(2).transpose(1, 2)

    def words(self, ids: Tensor) -> Tensor:
        if self.causal:
            return super().words(ids)
        hidden = self.text_model.embeddings(ids)
        for layer in self.text_layers:
            hidden = layer(hidden, None)
        return self.text_model.final_layer_norm(hidden)

    def embed_image(self, tokens: Tensor) -> Tensor:
        return self.trunk.get_classifier()(tokens[:, 0] if self.is_vit else tokens.mean(dim=1))

    def embed_prompt(self, words: Tensor, mask: Tensor) -> Tensor:
        return self.text_projection(last_of(words, mask))
