"""Semantic side: prompt tokens that have attended to the image (eq. 4).

Two text encoders with one interface: BLIP as ImageReward trained it, whose
layers attend to its own ViT's tokens, and any BERT, whose last hidden state attends to the visual ViT's tokens in a
small cross attention of its own.
"""

import itertools
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

import torch
from tokenizers import BertWordPieceTokenizer, Encoding
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BlipTextConfig, BlipVisionConfig
from transformers.models.blip.modeling_blip import BlipVisionModel
from transformers.models.blip.modeling_blip_text import BlipTextModel

from .fusion import CrossAttention

MOST_WINDOWS = 32  # of one prompt: about a thousand tokens
PAUSES = frozenset(',;.:!?|')
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
# ImageReward's BLIP: a ViT-L/16 at 224 pixels and a BERT-base with two more words, [DEC] and [ENC].
BLIP_VISION = {
    'hidden_size': 1024,
    'intermediate_size': 4096,
    'num_hidden_layers': 24,
    'num_attention_heads': 16,
    'image_size': 224,
    'patch_size': 16,
    'layer_norm_eps': 1e-6,
    'hidden_act': 'gelu',
}
BLIP_TEXT = {
    'vocab_size': 30524,
    'hidden_size': 768,
    'intermediate_size': 3072,
    'num_hidden_layers': 12,
    'num_attention_heads': 12,
    'max_position_embeddings': 512,
    'hidden_act': 'gelu',
    'hidden_dropout_prob': 0.1,  # BERT's own, in training only
    'attention_probs_dropout_prob': 0.1,
    'is_decoder': True,  # builds the cross attention; the mask is the bidirectional one all the same
    'bos_token_id': None,
    'eos_token_id': None,
    'sep_token_id': None,
}


class BlipSemantic(nn.Module):
    """BLIP's image and text encoder, as ImageReward uses them.

    Args:
        vision: what differs from ``BLIP_VISION`` (transformers' BlipVisionConfig).
        text: what differs from ``BLIP_TEXT`` (transformers' BlipTextConfig).

    Shape:
        pixels (N, 3, S, S) -> image features (N, 1 + patches, D);
        token ids and mask (N, L2), image features -> (N, L2, width)

    ``frozen_image_features`` and ``trained_image_features`` are the two halves of ``image_features``, before and after
    the last layer that ``freeze`` has fixed.
    """

    def __init__(self, vision: dict | None = None, text: dict | None = None):
        super().__init__()
        vision_config = BlipVisionConfig(**BLIP_VISION | (vision or {}))
        text_config = BlipTextConfig(**BLIP_TEXT | {'encoder_hidden_size': vision_config.hidden_size} | (text or {}))
        self.vision = BlipVisionModel(vision_config)
        self.text = BlipTextModel(text_config, add_pooling_layer=False)
        self.width = text_config.hidden_size
        self.view_size = vision_config.image_size
        self.mean, self.std = CLIP_MEAN, CLIP_STD
        self.frozen_layers = 0

    @property
    def encoders(self) -> list[nn.Module]:
        """The parts that may run in half precision."""
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
        """Fix the embeddings and the first ``share`` of both encoders' layers; returns what is now fixed."""
        vision, text = self.vision.encoder.layers, self.text.encoder.layer
        self.frozen_layers = round(share * len(vision))
        first = [*vision[: self.frozen_layers], *text[: round(share * len(text))]]
        frozen = [self.vision.embeddings, self.text.embeddings, *first]
        for module in frozen:
            module.requires_grad_(False)
        return frozen


class BertSemantic(nn.Module):
    """A BERT whose tokens attend, in one trained layer, to image tokens from the visual ViT.

    Args:
        config: transformers' BertConfig as a dictionary; the vocabulary is BERT's uncased one.
        image_width: channels of the image tokens.
        heads: heads of the cross attention.
    """

    def __init__(self, config: dict, image_width: int, heads: int):
        super().__init__()
        self.text = BertModel(BertConfig(**config), add_pooling_layer=False)
        self.width = self.text.config.hidden_size
        self.norm_image = nn.LayerNorm(image_width)
        self.attention = CrossAttention(self.width, image_width, heads)
        self.norm = nn.LayerNorm(self.width)

    @property
    def encoders(self) -> list[nn.Module]:
        """The parts that may run in half precision."""
        return [self.text]

    def freeze(self, share: float) -> list[nn.Module]:
        """Fix the embeddings and the first ``share`` of the layers; returns what is now fixed."""
        layers = self.text.encoder.layer
        frozen = [self.text.embeddings, *layers[: round(share * len(layers))]]
        self.words_are_frozen = len(frozen) == 1 + len(layers)
        for module in frozen:
            module.requires_grad_(False)
        return frozen

    def words(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The prompt's tokens before they have attended to the image: (N, L2, width)."""
        return self.text(ids, mask).last_hidden_state.float()

    def attend(self, words: Tensor, image: Tensor) -> Tensor:
        """The prompt's tokens after that: (N, L2, width)."""
        return self.norm(words + self.attention(words, self.norm_image(image)))


@cache
def bert_tokenizer() -> BertWordPieceTokenizer:
    """BERT's uncased word pieces, from the vocabulary that this package carries."""
    vocabulary = resources.files(__package__) / 'bert_uncased_vocabulary.txt'
    words = vocabulary.read_text(encoding='utf-8').splitlines()
    return BertWordPieceTokenizer({word: index for index, word in enumerate(words)})


def tokenize(prompts: Sequence[str], length: int) -> tuple[Tensor, Tensor, list[int]]:
    """Prompts as token ids (N, length) and mask (N, length), padded with 0, and how many tokens of each were cut."""
    ids = torch.zeros(len(prompts), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    cut = []
    for row, encoding in enumerate(bert_tokenizer().encode_batch(list(prompts))):
        tokens = encoding.ids
        kept = tokens if len(tokens) <= length else [*tokens[: length - 1], tokens[-1]]  # [SEP] stays the last one
        ids[row, : len(kept)] = torch.tensor(kept)
        mask[row, : len(kept)] = 1
        cut.append(len(tokens) - len(kept))
    return ids, mask, cut


def warn_of_cut_prompts(cut: Sequence[int], room: str) -> None:
    """Warn a metric's caller of prompts that were cut; ``cut`` is as ``tokenize`` counts it, ``room`` what they were cut to."""
    if any(cut):
        warnings.warn(
            f'{sum(map(bool, cut))} of {len(cut)} prompts were cut (by {max(cut)} tokens at most) to {room}.',
            stacklevel=3,
        )


class Windows(NamedTuple):
    """Prompts in windows that fit, those of one prompt after the other.

    Attributes:
        ids, mask: (M, length), as ``tokenize`` makes them.
        prompt: (M) which prompt each is of.
        share: (M) its share of that prompt's tokens; 1 where the prompt fits.
        cut: per prompt, how many tokens are beyond its last window.
    """

    ids: Tensor
    mask: Tensor
    prompt: Tensor
    share: Tensor
    cut: list[int]


def tokenize_windows(prompts: Sequence[str], length: int) -> Windows:
    """All of each prompt in as many windows as it needs, each [CLS] words [SEP] and none longer than ``length``.

    A window ends behind the last comma or the like in its second half, else behind the last word that fits. There are at
    most ``MOST_WINDOWS`` of a prompt. A prompt that fits is one window, the same as by ``tokenize``.
    """
    rows, prompt, share, cut = [], [], [], []
    for number, encoding in enumerate(bert_tokenizer().encode_batch(list(prompts))):
        ends = list(itertools.islice(_window_ends(encoding, length - 2), MOST_WINDOWS))
        tokens = encoding.ids
        for start, end in itertools.pairwise([1, *ends]):
            rows.append([tokens[0], *tokens[start:end], tokens[-1]])
            prompt.append(number)
            share.append((end - start) / (ends[-1] - 1) if len(ends) > 1 else 1.0)
        cut.append(len(tokens) - 1 - ends[-1])
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)], mask[place, : len(row)] = torch.tensor(row), 1
    return Windows(ids, mask, torch.tensor(prompt), torch.tensor(share), cut)


def _window_ends(encoding: Encoding, room: int) -> Iterator[int]:
    """Where windows of at most ``room`` tokens end: positions among the encoding's tokens, [SEP] not counted."""
    tokens, words, start, stop = encoding.tokens, encoding.word_ids, 1, len(encoding.ids) - 1
    while stop - start > room:
        within = range(start + room, start, -1)  # ends that leave the window at least one token
        pauses = (end for end in within[: room // 2] if tokens[end - 1] in PAUSES)
        between = (end for end in within if words[end - 1] != words[end])
        start = next(itertools.chain(pauses, between), start + room)
        yield start
    yield stop


def cut_words(prompt: str, cut: int) -> str:
    """The end of a prompt, of which so many tokens were cut."""
    offsets = bert_tokenizer().encode(prompt).offsets
    return prompt[offsets[len(offsets) - 1 - cut][0] :] if cut else ''
