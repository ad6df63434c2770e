"""Compute the output of ComfyUI's nodes that work on strings: they join, replace, select or fill templates."""

import re
from collections.abc import Callable

from .clean import LONGEST_PROMPT
from .comfyui_values import NOTHING, OPEN, Inputs, Words, is_link, together, typed

_PLACE = re.compile(r'\{\{|\}\}|\{(\w*)[^{}]{0,20}\}')
_COUNTED = re.compile(r'(.*?)_?(\d{1,9}|(?<=_)[a-z])?', re.DOTALL)
_BEFORE = re.compile(r'pre|.*_in_opt$', re.IGNORECASE)
_AFTER = re.compile(r'app|suffix|addition', re.IGNORECASE)
_SPELT = {'comma': ', ', 'space': ' ', 'none': '', 'newline': '\n', 'period': '. ', 'pipe': '|'}  # WLSH

Said = Callable[[str], Words]  # an input's words


def worked_on(inputs: Inputs, said: Said) -> Words | None:
    """Return the output of a node that selects, fills or replaces; None for other nodes."""
    if isinstance(inputs.get('strings'), str) and isinstance(
        inputs.get('select'), int
    ):  # Impact Pack: ImpactStringSelector
        lines = inputs['strings'].split('\n')
        return typed(lines[inputs['select'] % len(lines)])
    if isinstance(inputs.get('f_string'), str):  # nodes_string.py: StringFormat
        return _filled(inputs, said)
    if inputs.get('action') == 'replace' and isinstance(inputs.get('text_b'), str):  # pysssss: StringFunction
        return _replaced(said('text_a'), inputs['text_b'], _given(inputs, 'text_c', said))
    if isinstance(inputs.get('find1'), str):  # Comfyroll: CR Text Replace; easy-use: easy promptReplace
        words = said('text' if 'text' in inputs else 'prompt')
        for n in '123':
            find = inputs.get(f'find{n}')
            words = _replaced(words, find if isinstance(find, str) else '', _given(inputs, f'replace{n}', said))
        return words
    name = next((name for name in ('string', 'text') if name in inputs), None)
    if name and isinstance(inputs.get('find'), str) and 'replace' in inputs:  # nodes_string.py: StringReplace; WAS
        return _replaced(said(name), inputs['find'], _given(inputs, 'replace', said))
    return None


def in_order(names: list[str]) -> list[str]:
    """Sort names of texts into the order in which they are joined: prefixes, texts by number or letter, suffixes."""
    matches = [match for name in names if (match := _COUNTED.fullmatch(name))]  # it matches every name
    stems = [match[1] for match in matches]
    counts = [match[2] or '' for match in matches]
    ranks = [0 if _BEFORE.match(name) else 2 if _AFTER.match(name) else 1 for name in names]
    keys = [
        (rank, stems.index(stem), len(count), count) for rank, stem, count in zip(ranks, stems, counts, strict=True)
    ]
    return [name for _, name in sorted(zip(keys, names, strict=True), key=lambda pair: pair[0])]


def joined(parts: list[Words], inputs: Inputs) -> Words:
    """Join texts with the node's delimiter, a comma by default; open if the result is longer than a prompt can be."""
    between = next((inputs[name] for name in ('delimiter', 'separator', 'delim') if name in inputs), None)
    found = together(*parts)
    if len(found.texts) < 2:
        return found
    texts = found.texts
    if not isinstance(between, str) or inputs.get('clean_whitespace') in ('true', True):
        texts = tuple(text.strip() for text in texts)
    between = _SPELT.get(between, between) if isinstance(between, str) else ', '
    if sum(map(len, texts)) + len(between) * len(texts) > LONGEST_PROMPT:
        return OPEN
    return found._replace(texts=(between.join(texts),))


def _given(inputs: Inputs, name: str, said: Said) -> str | None:
    """Return an input's string as it is, even if it is no words; None if its link does not lead to a known text."""
    value = inputs.get(name, '')
    if not is_link(value):
        return str(value)
    words = said(name)
    return None if words.is_open or not words.texts else words.texts[0]


def _replaced(words: Words, find: str, by: str | None) -> Words:
    if not find or not words.texts:
        return words
    if by is None or any(text.count(find) * len(by) > LONGEST_PROMPT for text in words.texts):
        return OPEN
    return together(*(typed(text.replace(find, by)) for text in words.texts), words._replace(texts=()))


def _filled(inputs: Inputs, said: Said) -> Words:
    """Fill a template of Python's format with its values; open if a value is unknown or the result could be too long."""
    values = {name[7:]: _given(inputs, name, said) for name in inputs if name.startswith('values.')}
    template = inputs['f_string']
    places = template.count('{')
    texts = [text for text in values.values() if text is not None]
    if len(texts) < len(values) or places * max(map(len, texts), default=0) > 5 * LONGEST_PROMPT:
        return OPEN
    kept = {'{{': '{', '}}': '}'}
    return (
        typed(_PLACE.sub(lambda place: kept.get(place[0]) or values.get(place[1]) or '', template))
        if places
        else NOTHING
    )
