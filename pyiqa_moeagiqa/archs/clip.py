"""CLIP and SigLIP: the image and the text tower of one model, which compare an image with a prompt, serve eq. 4.

Radford et al., 'Learning Transferable Visual Models From Natural Language Supervision', ICML 2021; Zhai et al., 'Sigmoid Loss for
Language Image Pre-Training', ICCV 2023; Tschannen et al., 'SigLIP 2', 2025. It uses transformers, whose import takes seconds, so
only code that needs a CLIP imports this file.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPVisionConfig, SiglipTextConfig, SiglipVisionConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPVisionModel
from transformers.models.siglip.modeling_siglip import SiglipTextModel, SiglipVisionModel

from .blip import CLIP_MEAN, CLIP_STD
from .encoder_options import ClipOptions
from .semantic import ReadsImage
from .tokenizer import PromptTokenizer, clip_tokenizer

HALF = (0.5, 0.5, 0.5)
PIXELS = {'clip': (CLIP_MEAN, CLIP_STD), 'siglip': (HALF, HALF)}  # mean and deviation in pre-training
# ``embed_prompt`` finds a prompt's end by its mask; transformers would look for these words, and warn if there are none such.
UNUSED = {'bos_token_id': None, 'eos_token_id': 0, 'pad_token_id': None}


def _tower(model: Any) -> Any:
    """A tower itself, which early versions of transformers 5 wrap once more."""
    return getattr(model, 'vision_model', getattr(model, 'text_model', model))


class ClipTowers(nn.Module):
    """The pre-trained parts, under the names of transformers' CLIPModel or SiglipModel, and the tokenizer.

    Args:
        options: the sizes of both towers.
    """

    def __init__(self, options: ClipOptions):
        super().__init__()
        self.is_siglip = options.family == 'siglip'
        vision, text = options.vision.model_dump(), options.text.model_dump() | UNUSED
        if self.is_siglip:
            text |= {'projection_size': options.projection_dim}
            self.vision_model = _tower(SiglipVisionModel(SiglipVisionConfig(**vision)))
            self.text_model = _tower(SiglipTextModel(SiglipTextConfig(**text)))
        else:
            self.vision_model = _tower(CLIPVisionModel(CLIPVisionConfig(**vision)))
            self.text_model = _tower(CLIPTextModel(CLIPTextConfig(**text)))
            self.visual_projection = nn.Linear(options.vision.hidden_size, options.projection_dim, bias=False)
            self.text_projection = nn.Linear(options.text.hidden_size, options.projection_dim, bias=False)
        # Networks open no file, and a checkpoint describes itself: the bytes of tokenizer.json lie among the weights.
        self.register_buffer('tokenizer', torch.zeros(options.tokenizer_bytes, dtype=torch.uint8))

    @property
    def heads(self) -> list[nn.Module]:
        """The parts that make embeddings of the towers' tokens."""
        if self.is_siglip:
            return [self.vision_model.head, self.text_model.head]
        return [self.vision_model.post_layernorm, self.visual_projection, self.text_projection]

    @property
    def embeddings(self) -> list[nn.Module]:
        """The parts before the towers' layers."""
        norm = [] if self.is_siglip else [self.vision_model.pre_layrnorm]
        return [self.vision_model.embeddings, *norm, self.text_model.embeddings]


class ClipSemantic(ReadsImage):
    """A CLIP or SigLIP whose text tokens attend, in one trained layer, to the tokens of its image tower.

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
        self.towers = ClipTowers(checked)
        self.width, self.view_size = checked.text.hidden_size, checked.vision.image_size
        self.mean, self.std = PIXELS[checked.family]
        self.frozen_layers = 0
        self.add_attention(checked.vision.hidden_size, heads)

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
        vision, text = self.towers.vision_model.encoder.layers, self.towers.text_model.encoder.layers
        self.frozen_layers, of_text = int(share * len(vision)), int(share * len(text))
        self.words_are_frozen = share == 1
        layers = [*vision[: self.frozen_layers], *text[:of_text]]
        frozen = [self.towers] if share == 1 else [*self.towers.embeddings, *layers, *self.towers.heads]
        for module in frozen:
            module.requires_grad_(False)
        return frozen

    def frozen_image_features(self, pixels: Tensor) -> Tensor:
        """Compute the view's tokens after the last frozen layer."""
        tower = self.towers.vision_model
        hidden = tower.embeddings(pixels.to(self._dtype))
        if not self.towers.is_siglip:
            hidden = tower.pre_layrnorm(hidden)
        for layer in tower.encoder.layers[: self.frozen_layers]:
            hidden = layer(hidden, None)
        return hidden.float()

    def trained_image_features(self, hidden: Tensor) -> Tensor:
        """Compute the view's tokens, (N, patches, D), from those after the last frozen layer."""
        tower = self.towers.vision_model
        hidden = hidden.to(self._dtype)
        for layer in tower.encoder.layers[self.frozen_layers :]:
            hidden = layer(hidden, None)
        return (tower.post_layernorm(hidden) if self.towers.is_siglip else hidden).float()

    def words(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Compute the prompt's tokens before they attend to the image: (N, L2, width).

        Padding is not masked, because both families were trained so: in a CLIP no token attends to a later one, and SigLIP's
        attend to padding.
        """
        return self.towers.text_model(ids).last_hidden_state.float()

    def embed_image(self, image: Tensor) -> Tensor:
        """Compute the model's own embedding of images from their tokens: CLIP's class token, SigLIP's attention pooling."""
        tower = self.towers.vision_model
        image = image.to(self._dtype)
        if self.towers.is_siglip:
            return F.normalize(tower.head(image).float(), dim=-1)
        return F.normalize(self.towers.visual_projection(tower.post_layernorm(image[:, 0])).float(), dim=-1)

    def embed_prompt(self, words: Tensor, mask: Tensor) -> Tensor:
        """Compute the model's own embedding of prompts: CLIP's token at the prompt's end, SigLIP's last token, often padding."""
        tower = self.towers.text_model
        words = words.to(self._dtype)
        if self.towers.is_siglip:
            return F.normalize(tower.head(words[:, -1]).float(), dim=-1)
        last = words[torch.arange(words.shape[0], device=words.device), mask.sum(dim=1) - 1]
        return F.normalize(self.towers.text_projection(last).float(), dim=-1)
