"""Turns prompts into the tokens that a text encoder was trained to read."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any, NamedTuple

import torch
from tokenizers import BertWordPieceTokenizer, Encoding, Tokenizer
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as InTurn
from torch import Tensor

from ..options import OptionError, quoted
from .encoder_options import ClipOptions

MOST_WINDOWS = 32  # per prompt: about a thousand tokens
PAUSES = frozenset(',;.:!?|')
SPACE, WORD_END = '▁', '</w>'  # how vocabularies of byte pairs mark the space before a word, or a word's end
MOST_SPECIAL = 2  # tokens that a tokenizer may add to a prompt


@dataclass(frozen=True)
class PromptTokenizer:
    """A text encoder's tokenizer.

    Attributes:
        encoder: of the library ``tokenizers``; it adds the special tokens before and after a prompt's.
        pad: the token that fills up short prompts.
        unknown: the token for words that the vocabulary lacks; None if it can spell every word.
    """

    encoder: Any
    pad: int = 0
    unknown: int | None = None

    def encode(self, prompt: str) -> Encoding:
        """Encode a prompt: all its tokens, with the special ones and their places in the prompt."""
        return self.encoder.encode(prompt)

    def encode_all(self, prompts: Sequence[str]) -> list[Encoding]:
        """Encode several prompts."""
        return self.encoder.encode_batch(list(prompts))

    @cached_property
    def special(self) -> tuple[int, int]:
        """How many special tokens stand before and after a prompt's own."""
        inner = [place for place, special in enumerate(self.encode('a').special_tokens_mask) if not special]
        total = len(self.encode('a').ids)
        return (inner[0], total - 1 - inner[-1]) if inner else (0, total)

    @property
    def size(self) -> int:
        """How many tokens a text encoder must know: the largest number of a token, plus 1."""
        return 1 + max([self.pad, *self.encode('').ids, *self.encoder.get_vocab(with_added_tokens=True).values()])


@cache
def bert_tokenizer() -> PromptTokenizer:
    """BERT's uncased word piece tokenizer, from the vocabulary in this package: [CLS] words [SEP], padded with 0."""
    vocabulary = resources.files(__package__) / 'bert_uncased_vocabulary.txt'
    words = vocabulary.read_text(encoding='utf-8').splitlines()
    numbers = {word: index for index, word in enumerate(words)}
    return PromptTokenizer(BertWordPieceTokenizer(numbers), numbers['[PAD]'], numbers['[UNK]'])


def json_tokenizer(content: bytes, pad: int, lower: bool) -> PromptTokenizer:
    """Make a tokenizer from a ``tokenizer.json`` of the library ``tokenizers``, which is data and runs no code.

    Args:
        content: the file.
        pad: the token that fills up short prompts.
        lower: whether prompts are put in lower case first.

    Raises:
        OptionError: for a file that is no tokenizer, or adds more than a token at each end of a prompt.
    """
    try:
        encoder = Tokenizer.from_str(content.decode())
        encoder.no_padding()
        encoder.no_truncation()
        if lower:
            encoder.normalizer = InTurn([Lowercase(), *([encoder.normalizer] if encoder.normalizer else [])])
        unknown = encoder.token_to_id(getattr(encoder.model, 'unk_token', None) or '<unk>')
        tokenizer = PromptTokenizer(encoder, pad, unknown)
        special = tokenizer.special
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library raises plain Exceptions, and its panics are not even these
        raise OptionError(f'its tokenizer.json cannot be used ({quoted(error)})') from None
    if sum(special) > MOST_SPECIAL:
        raise OptionError(
            f'its tokenizer adds {sum(special)} tokens to a prompt, and at most {MOST_SPECIAL} are expected'
        )
    return tokenizer


def clip_tokenizer(content: bytes, options: ClipOptions) -> PromptTokenizer:
    """Make the tokenizer of a CLIP, SigLIP or MobileCLIP from its ``tokenizer.json``; raises as ``json_tokenizer`` does.

    SigLIP was trained with prompts in lower case. A CLIP's own tokenizer lowers the case itself.
    """
    if not content:
        raise OptionError('its tokenizer is missing')
    return json_tokenizer(content, options.text.pad_token_id, options.family == 'siglip')


def tokenize(
    prompts: Sequence[str], length: int, tokenizer: PromptTokenizer | None = None
) -> tuple[Tensor, Tensor, list[int]]:
    """Return token ids (N, length) and mask (N, length), padded, and how many tokens of each prompt are cut.

    Without a ``tokenizer`` it is BERT's.
    """
    tokenizer = tokenizer or bert_tokenizer()
    rows, cut, last = [], [], tokenizer.special[1]
    for encoding in tokenizer.encode_all(prompts):
        tokens = encoding.ids
        # A cut prompt keeps the special token at its end, such as [SEP].
        fits = len(tokens) <= length
        rows.append(tokens if fits else [*tokens[: length - last], *tokens[len(tokens) - last :]])
        cut.append(len(tokens) - len(rows[-1]))
    return *_padded(rows, length, tokenizer.pad), cut


def _padded(rows: list[list[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    """Pad rows of ids to token ids and mask (N, length), on the processor even if torch has another default device."""
    ids = torch.full((len(rows), length), pad, dtype=torch.long, device='cpu')
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


def tokenize_windows(prompts: Sequence[str], length: int, tokenizer: PromptTokenizer | None = None) -> Windows:
    """Split each prompt into as many windows as it needs, none longer than ``length``, each between the special tokens.

    A window ends after the last comma or other mark of ``PAUSES`` in its second half, else after the last word that fits. A
    prompt has at most ``MOST_WINDOWS`` windows. A prompt that fits is one window, the same as by ``tokenize``.
    """
    tokenizer = tokenizer or bert_tokenizer()
    rows, prompt, share, cut = [], [], [], []
    first, last = tokenizer.special
    for number, encoding in enumerate(tokenizer.encode_all(prompts)):
        tokens, stop = encoding.ids, len(encoding.ids) - last
        ends = list(itertools.islice(_window_ends(encoding, first, stop, length - first - last), MOST_WINDOWS))
        for start, end in itertools.pairwise([first, *ends]):
            rows.append([*tokens[:first], *tokens[start:end], *tokens[stop:]])
            prompt.append(number)
            share.append((end - start) / (ends[-1] - first) if len(ends) > 1 else 1.0)
        cut.append(stop - ends[-1])
    numbers = torch.tensor(prompt, dtype=torch.long, device='cpu')
    shares = torch.tensor(share, dtype=torch.float32, device='cpu')
    return Windows(*_padded(rows, length, tokenizer.pad), numbers, shares, cut)


def _window_ends(encoding: Encoding, start: int, stop: int, room: int) -> Iterator[int]:
    """Yield the ends of windows of at most ``room`` tokens, as positions among the encoding's tokens up to ``stop``."""
    tokens, words = encoding.tokens, encoding.word_ids
    while stop - start > room:
        within = range(start + room, start, -1)  # possible ends, the longest window first
        pauses = (end for end in within[: room // 2] if tokens[end - 1].strip(SPACE).removesuffix(WORD_END) in PAUSES)
        between = (end for end in within if words[end - 1] != words[end] or tokens[end].startswith(SPACE))
        start = next(itertools.chain(pauses, between), start + room)
        yield start
    yield stop
