"""Nodes of ComfyUI that choose a text when they run: one line of several, or the prompt of a frame.

The file does not say which text was chosen, so a text counts only if it is the only one. (A dynamic prompt is one text, and
is taken as it is.) Sources: WAS Node Suite, Comfyroll, easy-use, FizzNodes.
"""

import re

from .comfyui_values import Words, typed

_LISTS = re.compile(
    r'(?:prompt|text|string).?(?:line|list)(?!.{0,3}(?:to|join|concat))|random.?(?:line|text|string)|load.?(?:line|prompts)',
    re.IGNORECASE,
)
_SCHEDULES = re.compile(r'schedul', re.IGNORECASE)
_FRAME = re.compile(r'"\d{1,9}"\s{0,9}:\s{0,9}"([^"]*)"')


def possible_texts(kind: str, parts: list[Words]) -> list[list[str]] | None:
    """Return, for each part of a node's text, the texts that it could be; None for nodes that choose no text."""
    if _LISTS.search(kind):
        lines = (line for part in parts for text in part.texts for line in text.splitlines())
        return [list(dict.fromkeys(line for line in lines if typed(line).texts))]
    if _SCHEDULES.search(kind):
        return [[prompt for text in part.texts for prompt in _prompts_of_frames(text)] for part in parts]
    return None


def _prompts_of_frames(text: str) -> list[str]:
    return list(dict.fromkeys(_FRAME.findall(text))) or [text]
