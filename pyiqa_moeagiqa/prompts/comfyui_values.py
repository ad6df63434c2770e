"""The values in the inputs of ComfyUI's nodes: links, numbers, and texts, some of which describe a picture."""

import re
from typing import Any, NamedTuple, TypeGuard

from .clean import LONGEST_PROMPT

Graph = dict[str, dict[str, Any]]
Inputs = dict[str, Any]

LONGEST_NAME = 100  # characters of an input's or class's name; no pattern is tried on longer ones
SCALAR = re.compile(r'-?\d{1,9}|true|false|on|off', re.IGNORECASE)
_NO_WORDS = re.compile(
    r'(?:true|false|yes|no|none|null|undefined|unknown|enabled?|disabled?|Select the .*)?|[\d\s.,:;|+*/-]*'
    r'|\S+\.(?:safetensors|ckpt|pth?|bin|gguf|sft|png|jpe?g|webp|gif|mp4|json|txt|ya?ml)',
    re.IGNORECASE,
)


class Words(NamedTuple):
    """Texts in the order in which they are joined.

    ``is_open``: there is another source of words that could not be followed. ``is_told``: a language model was given these
    texts, and its answer is not known.
    """

    texts: tuple[str, ...] = ()
    is_open: bool = False
    is_told: bool = False


NOTHING, OPEN = Words(), Words(is_open=True)


def is_link(value: Any) -> TypeGuard[list[Any]]:
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
    """Return a typed text, with the spaces around it, if it can be words; nothing for a number, option or file name."""
    for _ in range(2):  # easy-use keeps what it showed in a list, or in a list of one
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
    text = value.strip() if isinstance(value, str) else ''
    return NOTHING if len(text) > LONGEST_PROMPT or _NO_WORDS.fullmatch(text) else Words((value,))


def together(*parts: Words) -> Words:
    """Collect the texts of all parts, each once; texts that differ only in the spaces around them count as the same."""
    texts: dict[str, str] = {}
    for text in (text for part in parts for text in part.texts):
        texts.setdefault(text.strip(), text)
    return Words(tuple(texts.values()), any(part.is_open for part in parts), any(part.is_told for part in parts))
