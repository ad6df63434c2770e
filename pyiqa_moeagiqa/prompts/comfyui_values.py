"""What stands in the inputs of ComfyUI's nodes: links, numbers, and texts, of which some are words for a picture."""

import re
from typing import Any, NamedTuple

from .clean import LONGEST_PROMPT

Graph = dict[str, dict[str, Any]]
Inputs = dict[str, Any]

LONGEST_NAME = 100  # characters of an input or a class: what is longer is none, and no pattern is tried on it
SCALAR = re.compile(r'-?\d{1,9}|true|false|on|off', re.IGNORECASE)
_NO_WORDS = re.compile(
    r'(?:true|false|yes|no|none|null|undefined|unknown|enabled?|disabled?|Select the .*)?|[\d\s.,:;|+*/-]*'
    r'|\S+\.(?:safetensors|ckpt|pth?|bin|gguf|sft|png|jpe?g|webp|gif|mp4|json|txt|ya?ml)',
    re.IGNORECASE,
)


class Words(NamedTuple):
    """Texts in the order in which they are joined. Open: something that could not be followed has its say as well.

    Told: a language model was told them, and what it made of them is not known.
    """

    texts: tuple[str, ...] = ()
    is_open: bool = False
    is_told: bool = False


NOTHING, OPEN = Words(), Words(is_open=True)


def is_link(value: Any) -> bool:
    """Whether an input's value is a link [node, output]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int)


def is_scalar(value: Any) -> bool:
    """Whether an input's value is a whole number or a truth value, or spells one."""
    return isinstance(value, int) or (isinstance(value, str) and SCALAR.fullmatch(value) is not None)


def kind_of(node: dict[str, Any]) -> str:
    """A node's class."""
    kind = node.get('class_type')
    return kind[:LONGEST_NAME] if isinstance(kind, str) else ''


def typed(value: Any) -> Words:
    """A text that was typed, with the spaces around it, where it can be words: no number, option or name of a file."""
    for _ in range(2):  # easy-use keeps what it showed in a list, or in a list of one
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
    text = value.strip() if isinstance(value, str) else ''
    return NOTHING if len(text) > LONGEST_PROMPT or _NO_WORDS.fullmatch(text) else Words((value,))


def together(*parts: Words) -> Words:
    """All texts, each once, whatever spaces are around it."""
    texts: dict[str, str] = {}
    for text in (text for part in parts for text in part.texts):
        texts.setdefault(text.strip(), text)
    return Words(tuple(texts.values()), any(part.is_open for part in parts), any(part.is_told for part in parts))
