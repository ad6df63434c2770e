"""CLIP, SigLIP and MobileCLIP: one model's image tower and text tower, which were trained to compare, serve eq. 4."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .clip_towers import ClipTowers, SiglipTowers, Towers
from .encoder_options import ClipOptions
from .mobileclip import MobileClipTowers
from .semantic import ReadsImage
from .tokenizer import PromptTokenizer, clip_tokenizer

TOWERS: dict[str, Callable[[ClipOptions], Towers]] = {
    'clip': ClipTowers,
    'siglip': SiglipTowers,
    'mobileclip': MobileClipTowers,
}


class ClipSemantic(ReadsImage):
    """A CLIP, SigLIP or MobileCLIP whose text tokens attend, in one trained layer, to the tokens of its image tower.

    Neither tower's own attention knows the other. Their embeddings do: they were trained to be alike for an image and its text.

    Args:
        options: see ``ClipOptions``.
        heads: heads of the cross attention.

    Shape:
        pixels (N, 3, S, S) -> image features (N, patches, D), for a CLIP with its class token first;
        token ids (N, L2) -> words (N, L2, width); both -> embeddings (N, projection_dim) of length 1

    Raises:
        OptionError: for an option that is unknown or out of range.
    """

    def __init__(self, options: Mapping[str, Any], heads: int):
        super().__init__()
        self.options = checked = ClipOptions.check(options, 'semantic_options')
        self.towers = TOWERS[checked.family](checked)
        self.width, self.view_size = checked.text.hidden_size, checked.view_size
        self.mean, self.std = self.towers.mean, self.towers.std
        self.frozen_layers = 0
        self.add_attention(self.towers.image_width, heads)

    @property
    def tokenizer_json(self) -> bytes:
        """The file of the tokenizer."""
        content: Any = self.towers.tokenizer
        return content.cpu().numpy().tobytes()

    @cached_property  # made once, after the weights are loaded, because a large vocabulary takes a second
    def tokenizer(self) -> PromptTokenizer:
        """What makes token ids of prompts."""
        return clip_tokenizer(self.tokenizer_json, self.options)

    @property
    def room(self) -> tuple[int, int]:
        """How many words and how many places of a prompt have an embedding."""
        return self.options.text.vocab_size, self.options.text.max_position_embeddings

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.towers.parameters()).dtype

    @property
    def encoders(self) -> list[nn.Module]:
        """The parts that can run in half precision."""
        return [self.towers]

    def freeze(self, share: float) -> list[nn.Module]:
        """Freeze the embeddings, the first ``share`` of both towers' layers and their heads; return the frozen modules.

        The heads stay as they are, because the space of the embeddings is what the pre-training is worth.
        """
        image, text = self.towers.image_layers, self.towers.text_layers
        self.frozen_layers, of_text = int(share * len(image)), int(share * len(text))
        self.words_are_frozen = share == 1
        layers = [*image[: self.frozen_layers], *text[:of_text]]
        frozen = [self.towers] if share == 1 else [*self.towers.embeddings, *layers, *self.towers.heads]
        for module in frozen:
            module.requires_grad_(False)
        return frozen

    def frozen_image_features(self, pixels: Tensor) -> Tensor:
        """Compute what the last frozen layer of the image tower gives for a view."""
        hidden = self.towers.start(pixels.to(self._dtype))
        for layer in self.towers.image_layers[: self.frozen_layers]:
            hidden = self.towers.layer(layer, hidden)
        return hidden.float()

    def trained_image_features(self, hidden: Tensor) -> Tensor:
        """Compute the view's tokens, (N, patches, D), from what the last frozen layer gives."""
        hidden = hidden.to(self._dtype)
        for layer in self.towers.image_layers[self.frozen_layers :]:
            hidden = self.towers.layer(layer, hidden)
        return self.towers.end(hidden).float()

    def words(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Compute the prompt's tokens before they attend to the image: (N, L2, width)."""
        return self.towers.words(ids).float()

    def embed_image(self, image: Tensor) -> Tensor:
        """Compute the model's own embedding of images from their tokens."""
        return F.normalize(self.towers.embed_image(image.to(self._dtype)).float(), dim=-1)

    def embed_prompt(self, words: Tensor, mask: Tensor) -> Tensor:
        """Compute the model's own embedding of prompts from their tokens."""
        return F.normalize(self.towers.embed_prompt(words.to(self._dtype), mask).float(), dim=-1)
