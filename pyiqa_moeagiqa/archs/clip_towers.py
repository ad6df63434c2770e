"""The pre-trained towers of CLIP, SigLIP and MobileCLIP: what differs from family to family.

Each tower is a start, layers and an end, so that training can freeze the first layers. This file uses transformers, whose import
takes seconds, so only code that needs a CLIP imports it.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPVisionConfig, SiglipTextConfig, SiglipVisionConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPVisionModel
from transformers.models.siglip.modeling_siglip import SiglipTextModel, SiglipVisionModel

from .encoder_options import CLIP_MEAN, CLIP_STD, ClipOptions

HALF = (0.5, 0.5, 0.5)
# ``embed_prompt`` finds a prompt's end by its mask; transformers would look for these words, and warn if there are none such.
UNUSED = {'bos_token_id': None, 'eos_token_id': 0, 'pad_token_id': None}


def _tower(model: Any) -> Any:
    """A tower itself, which early versions of transformers 5 wrap once more."""
    return getattr(model, 'vision_model', getattr(model, 'text_model', model))


class Towers(nn.Module, ABC):
    """An image tower, a text tower, what makes embeddings of their tokens, and the tokenizer.

    Args:
        options: the sizes of both towers.

    Attributes:
        mean, std: of pixels in pre-training.
        image_width: channels of the image's tokens.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_width: int
    vision_model: Any  # transformers' own, if the family has one
    text_model: Any

    def __init__(self, options: ClipOptions):
        super().__init__()
        # Networks open no file, and a checkpoint describes itself: the bytes of tokenizer.json lie among the weights.
        self.register_buffer('tokenizer', torch.zeros(options.tokenizer_bytes, dtype=torch.uint8))

    @property
    def image_layers(self) -> Any:
        """The image tower's layers, a list of modules."""
        return self.vision_model.encoder.layers

    @property
    def text_layers(self) -> Any:
        """The text tower's layers, a list of modules."""
        return self.text_model.encoder.layers

    @property
    @abstractmethod
    def heads(self) -> list[nn.Module]:
        """The parts that make embeddings of the towers' tokens."""

    @property
    def embeddings(self) -> list[nn.Module]:
        """The parts before the towers' layers."""
        return [self.vision_model.embeddings, self.text_model.embeddings]

    def start(self, pixels: Tensor) -> Tensor:
        """Compute what the image tower's first layer takes."""
        return self.vision_model.embeddings(pixels)

    def layer(self, layer: nn.Module, hidden: Tensor) -> Tensor:
        """Compute one of ``image_layers``."""
        return layer(hidden, None)

    def end(self, hidden: Tensor) -> Tensor:
        """Compute the image's tokens, (N, places, D), of what the last layer gives."""
        return hidden

    def words(self, ids: Tensor) -> Tensor:
        """Compute the prompt's tokens, (N, L2, width).

        Padding is not masked, because all families were trained so: in a CLIP no token attends to a later one, and in the others
        they attend to padding.
        """
        return self.text_model(ids).last_hidden_state

    @abstractmethod
    def embed_image(self, tokens: Tensor) -> Tensor:
        """Compute the model's own embedding of images, (N, projection_dim), from their tokens."""

    @abstractmethod
    def embed_prompt(self, words: Tensor, mask: Tensor) -> Tensor:
        """Compute the model's own embedding of prompts, (N, projection_dim), from their tokens."""


def clip_text(options: ClipOptions) -> Any:
    """Build the text tower of a CLIP."""
    return _tower(CLIPTextModel(CLIPTextConfig(**options.text.model_dump() | UNUSED)))


def last_of(words: Tensor, mask: Tensor) -> Tensor:
    """Return the token at each prompt's end, (N, width), before its padding."""
    return words[torch.arange(words.shape[0], device=words.device), mask.sum(dim=1) - 1]


class ClipTowers(Towers):
    """CLIP's, under the names of transformers' CLIPModel: the image's embedding is made of the class token.

    Radford et al., 'Learning Transferable Visual Models From Natural Language Supervision', ICML 2021.
    """

    mean, std = CLIP_MEAN, CLIP_STD

    def __init__(self, options: ClipOptions):
        super().__init__(options)
        self.image_width = options.vision.hidden_size
        self.vision_model = _tower(CLIPVisionModel(CLIPVisionConfig(**options.vision.model_dump())))
        self.text_model = clip_text(options)
        self.visual_projection = nn.Linear(options.vision.hidden_size, options.projection_dim, bias=False)
        self.text_projection = nn.Linear(options.text.hidden_size, options.projection_dim, bias=False)

    @property
    def heads(self) -> list[nn.Module]:
        return [self.vision_model.post_layernorm, self.visual_projection, self.text_projection]

    @property
    def embeddings(self) -> list[nn.Module]:
        return [*super().embeddings, self.vision_model.pre_layrnorm]

    def start(self, pixels: Tensor) -> Tensor:
        return self.vision_model.pre_layrnorm(super().start(pixels))

    def embed_image(self, tokens: Tensor) -> Tensor:
        return self.visual_projection(self.vision_model.post_layernorm(tokens[:, 0]))

    def embed_prompt(self, words: Tensor, mask: Tensor) -> Tensor:
        return self.text_projection(last_of(words, mask))


class SiglipTowers(Towers):
    """SigLIP's, under the names of transformers' SiglipModel: attention pools the image, and a prompt's last place counts.

    That place is often padding. Zhai et al., 'Sigmoid Loss for Language Image Pre-Training', ICCV 2023; Tschannen et al.,
    'SigLIP 2', 2025.
    """

    mean, std = HALF, HALF

    def __init__(self, options: ClipOptions):
        super().__init__(options)
        self.image_width = options.vision.hidden_size
        text = options.text.model_dump() | UNUSED | {'projection_size': options.projection_dim}
        self.vision_model = _tower(SiglipVisionModel(SiglipVisionConfig(**options.vision.model_dump())))
        self.text_model = _tower(SiglipTextModel(SiglipTextConfig(**text)))

    @property
    def heads(self) -> list[nn.Module]:
        return [self.vision_model.head, self.text_model.head]

    def end(self, hidden: Tensor) -> Tensor:
        return self.vision_model.post_layernorm(hidden)

    def embed_image(self, tokens: Tensor) -> Tensor:
        return self.vision_model.head(tokens)

    def embed_prompt(self, words: Tensor, mask: Tensor) -> Tensor:
        return self.text_model.head(words[:, -1])
