"""Prompts in files beside an image: cat.txt, cat.caption, cat.png.txt, cat.json or cat.png.json for cat.png."""

import codecs
import json
from pathlib import Path
from typing import Any

from .clean import LONGEST_PROMPT, positive_part

LARGEST = 1 << 20  # bytes
JSON_KEYS = ('prompt', 'Prompt', 'caption', 'text', 'positive_prompt')


class SidecarError(ValueError):
    """Raised for a text file beside an image that cannot be read; the message is one sentence."""


def sidecar_prompt(image: Path) -> str | None:
    """Read the prompt from a file beside ``image``; return None if there is no such file or prompt, or it is empty.

    A text file is the prompt as it is. If it is AUTOMATIC1111's, with negative prompt and settings below, only the part above
    them counts. A JSON file has the prompt under one of ``JSON_KEYS``; a JSON file without these keys is ignored.

    Raises:
        SidecarError: for a file that cannot be opened, and for a text file that is not UTF-8 (or UTF-16 with a byte order
            mark), or longer than a prompt can be.
    """
    for path in sidecars_of(image):
        if text := _json_text(path) if path.suffix == '.json' else _text(path):
            return text
    return None


def sidecars_of(image: Path) -> list[Path]:
    """The files beside an image that can hold its prompt, in the order of the search."""
    endings = ('.txt', '.caption', f'{image.suffix}.txt', '.json', f'{image.suffix}.json')
    return [image.with_suffix(ending) for ending in endings]


def _text(path: Path) -> str:
    if not path.is_file():
        return ''
    try:
        text = positive_part(_decoded(_bytes(path))).strip()
    except UnicodeDecodeError:
        raise SidecarError(f'{path} is not UTF-8 text; save it as UTF-8') from None
    if len(text) > LONGEST_PROMPT:
        raise SidecarError(f'{path} has more than {LONGEST_PROMPT} characters; a prompt is shorter')
    return text


def _json_text(path: Path) -> str:
    if not path.is_file():
        return ''
    try:
        values: Any = json.loads(_decoded(_bytes(path)))
    except (ValueError, RecursionError):
        return ''
    texts = (values.get(key) for key in JSON_KEYS) if isinstance(values, dict) else ()
    text = next((text for text in texts if isinstance(text, str) and text.strip()), '')
    return positive_part(text).strip() if len(text) <= LONGEST_PROMPT else ''


def _bytes(path: Path) -> bytes:
    try:
        with path.open('rb') as file:
            return file.read(LARGEST)
    except OSError as error:
        raise SidecarError(f'{path} cannot be read ({error.strerror})') from None


def _decoded(data: bytes) -> str:
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode('utf-16' if is_utf16 else 'utf-8-sig')
