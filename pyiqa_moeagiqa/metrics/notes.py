"""Notes: what to know about a score besides its number. A result holds them; a metric's caller gets them as warnings."""

from collections.abc import Sequence

from ..archs.tokenizer import PromptTokenizer, bert_tokenizer

LONGEST_SHOWN = 80  # characters of a prompt's cut part


def image_notes(
    prompt: str, cut: int, novelty: float | None = None, tokenizer: PromptTokenizer | None = None
) -> list[str]:
    """Notes on the score of one image.

    Args:
        prompt: its prompt.
        cut: how many tokens of the prompt were not read.
        novelty: of the image, if the metric knows it.
        tokenizer: the text encoder's, by default BERT's; so in all functions of this file.
    """
    notes = [
        _cut_note(prompt, cut, tokenizer) if cut else None,
        prompt_note(prompt, tokenizer),
        _novelty_note(novelty),
    ]
    return [note for note in notes if note]


def prompt_note(prompt: str, tokenizer: PromptTokenizer | None = None) -> str | None:
    """Describe the problem of a prompt that is empty, or most of whose words are unknown; None for other prompts."""
    if not prompt.strip():
        return 'its prompt is empty: the score says little about how the image fits it'
    unknown, words = unknown_words(prompt, tokenizer)
    if 2 * unknown <= words:
        return None
    if unknown == words:
        return 'no word of its prompt is known to the text encoder: the score says little about how the image fits it'
    return f'{unknown} of {words} words of its prompt are unknown to the text encoder, which reads the others alone'


def prompts_summary(prompts: Sequence[str], tokenizer: PromptTokenizer | None = None) -> list[str]:
    """Sum up the ``prompt_note`` of each image's prompt: the first one, and how many more there are."""
    each = enumerate(prompt_note(prompt, tokenizer) for prompt in prompts)
    notes = [f'Image {place}: {note}' for place, note in each if note]
    more = f' (and {len(notes) - 1} more)' if len(notes) > 1 else ''
    return [f'{note}{more}.' for note in notes[:1]]


def cut_summary(cut: Sequence[int], room: str) -> list[str]:
    """Say how many prompts were cut; ``cut`` is counted as by ``tokenize``, ``room`` names the length that is left."""
    if not any(cut):
        return []
    return [f'{sum(map(bool, cut))} of {len(cut)} prompts were cut (by {max(cut)} tokens at most) to {room}.']


def unknown_words(prompt: str, tokenizer: PromptTokenizer | None = None) -> tuple[int, int]:
    """Count a prompt's words that the text encoder's vocabulary lacks, and all its words; punctuation does not count."""
    tokenizer = tokenizer or bert_tokenizer()
    encoding = tokenizer.encode(prompt)
    words = {}  # a word's number -> whether it is unknown
    for token, word, (start, end) in zip(encoding.ids, encoding.word_ids, encoding.offsets, strict=True):
        if word is not None and (token == tokenizer.unknown or any(map(str.isalnum, prompt[start:end]))):
            words[word] = token == tokenizer.unknown
    return sum(words.values()), len(words)


def cut_words(prompt: str, cut: int, tokenizer: PromptTokenizer | None = None) -> str:
    """Return the text of a prompt's last ``cut`` tokens, which were cut."""
    tokenizer = tokenizer or bert_tokenizer()
    offsets = tokenizer.encode(prompt).offsets
    return prompt[offsets[len(offsets) - tokenizer.special[1] - cut][0] :] if cut else ''


def _cut_note(prompt: str, tokens: int, tokenizer: PromptTokenizer | None) -> str:
    """Quote the part of the prompt that was not read."""
    words = ' '.join(cut_words(prompt, tokens, tokenizer).split())
    shown = words if len(words) <= LONGEST_SHOWN else f'{words[:LONGEST_SHOWN].rstrip()}…'
    return f"its prompt was cut by {tokens} token{'s' if tokens > 1 else ''}: '…{shown}'"


def _novelty_note(novelty: float | None) -> str | None:
    """Describe a picture that is far from everything that the network was trained on: novelty above 1."""
    if novelty is None or novelty <= 1:
        return None
    return f'it is unlike the pictures that the metric was trained on (novelty {novelty:.1f}), so its score is a guess'
