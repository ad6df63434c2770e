"""Semantic side: a prompt's tokens, and a BERT whose tokens attend to the image (eq. 4).

BLIP, in ``archs/blip.py``, is another text encoder with the same interface.
"""

import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

import torch
from tokenizers import BertWordPieceTokenizer, Encoding
from torch import Tensor, nn

from .bert import Bert
from .fusion import CrossAttention

MOST_WINDOWS = 32  # per prompt: about a thousand tokens
PAUSES = frozenset(',;.:!?|')


class BertSemantic(nn.Module):
    """A BERT whose tokens attend, in one trained layer, to image tokens from the visual ViT.

    Args:
        options: differences from BERT-base, as ``Bert`` takes them; the vocabulary is BERT's uncased one.
        image_width: channels of the image tokens.
        heads: heads of the cross attention.
    """

    def __init__(self, options: dict, image_width: int, heads: int):
        super().__init__()
        self.text = Bert(options)
        self.width = self.text.width
        self.norm_image = nn.LayerNorm(image_width)
        self.attention = CrossAttention(self.width, image_width, heads)
        self.norm = nn.LayerNorm(self.width)

    @property
    def encoders(self) -> list[nn.Module]:
        """The parts that can run in half precision."""
        return [self.text]

    def freeze(self, share: float) -> list[nn.Module]:
        """Freeze the embeddings and the first ``share`` of the layers; return the frozen modules."""
        layers = self.text.encoder.layer
        frozen = [self.text.embeddings, *layers[: int(share * len(layers))]]
        self.words_are_frozen = len(frozen) == 1 + len(layers)
        for module in frozen:
            module.requires_grad_(False)
        return frozen

    def words(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Compute the prompt's tokens before they attend to the image: (N, L2, width)."""
        return self.text(ids, mask).float()

    def attend(self, words: Tensor, image: Tensor) -> Tensor:
        """Let the prompt's tokens attend to the image's: (N, L2, width)."""
        return self.norm(words + self.attention(words, self.norm_image(image)))


@cache
def bert_tokenizer() -> BertWordPieceTokenizer:
    """BERT's uncased word piece tokenizer, from the vocabulary in this package."""
    vocabulary = resources.files(__package__) / 'bert_uncased_vocabulary.txt'
    words = vocabulary.read_text(encoding='utf-8').splitlines()
    return BertWordPieceTokenizer({word: index for index, word in enumerate(words)})


def tokenize(prompts: Sequence[str], length: int) -> tuple[Tensor, Tensor, list[int]]:
    """Return token ids (N, length) and mask (N, length), padded with 0, and how many tokens of each prompt are cut."""
    rows, cut = [], []
    for encoding in bert_tokenizer().encode_batch(list(prompts)):
        tokens = encoding.ids
        # A cut prompt keeps [SEP] as its last token.
        rows.append(tokens if len(tokens) <= length else [*tokens[: length - 1], tokens[-1]])
        cut.append(len(tokens) - len(rows[-1]))
    return *_padded(rows, length), cut


def _padded(rows: list[list[int]], length: int) -> tuple[Tensor, Tensor]:
    """Pad rows of ids to token ids and mask (N, length), on the processor even if torch has another default device."""
    ids = torch.zeros(len(rows), length, dtype=torch.long, device='cpu')
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)], mask[place, : len(row)] = torch.tensor(row, device='cpu'), 1
    return ids, mask


class Windows(NamedTuple):
    """Prompts split into M windows that fit the text encoder; the windows of a prompt follow each other.

    Attributes:
        ids, mask: (M, length), as ``tokenize`` makes them.
        prompt: (M) the index of each window's prompt.
        share: (M) each window's share of the tokens in all windows of its prompt; 1 if the prompt fits.
        cut: per prompt, how many tokens lie beyond its last window.
    """

    ids: Tensor
    mask: Tensor
    prompt: Tensor
    share: Tensor
    cut: list[int]


def one_window_each(ids: Tensor, mask: Tensor, cut: list[int]) -> Windows:
    """Make the output of ``tokenize`` into windows, one per prompt."""
    count = len(cut)
    return Windows(
        ids, mask, torch.arange(count, device='cpu'), torch.ones(count, dtype=torch.float32, device='cpu'), cut
    )


def tokenize_windows(prompts: Sequence[str], length: int) -> Windows:
    """Split each prompt into as many windows as it needs, each [CLS] words [SEP] and none longer than ``length``.

    A window ends after the last comma or other mark of ``PAUSES`` in its second half, else after the last word that fits. A
    prompt has at most ``MOST_WINDOWS`` windows. A prompt that fits is one window, the same as by ``tokenize``.
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
    numbers = torch.tensor(prompt, dtype=torch.long, device='cpu')
    return Windows(*_padded(rows, length), numbers, torch.tensor(share, dtype=torch.float32, device='cpu'), cut)


def _window_ends(encoding: Encoding, room: int) -> Iterator[int]:
    """Yield the ends of windows of at most ``room`` tokens, as positions among the encoding's tokens before [SEP]."""
    tokens, words, start, stop = encoding.tokens, encoding.word_ids, 1, len(encoding.ids) - 1
    while stop - start > room:
        within = range(start + room, start, -1)  # possible ends, the longest window first
        pauses = (end for end in within[: room // 2] if tokens[end - 1] in PAUSES)
        between = (end for end in within if words[end - 1] != words[end])
        start = next(itertools.chain(pauses, between), start + room)
        yield start
    yield stop
