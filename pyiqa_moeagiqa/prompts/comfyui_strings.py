"""What nodes of ComfyUI that work on strings make of the texts they are given: joined, replaced, filled into a template."""

import re
from collections.abc import Callable

from .clean import LONGEST_PROMPT
from .comfyui_values import NOTHING, OPEN, Inputs, Words, is_link, together, typed

_PLACE = re.compile(r'\{\{|\}\}|\{(\w*)[^{}]{0,20}\}')

Said = Callable[[str], Words]  # an input's words


def worked_on(inputs: Inputs, said: Said) -> Words | None:
    """What a node that selects, fills or replaces gives; None for other nodes."""
    if isinstance(inputs.get('strings'), str) and isinstance(
        inputs.get('select'), int
    ):  # Impact Pack: ImpactStringSelector
        lines = inputs['strings'].split('\n')
        return typed(lines[inputs['select'] % len(lines)])
    if isinstance(inputs.get('f_string'), str):  # nodes_string.py: StringFormat
        return _filled(inputs, said)
    if inputs.get('action') == 'replace' and isinstance(inputs.get('text_b'), str):  # pysssss: StringFunction
        return _replaced(said('text_a'), inputs['text_b'], _given(inputs, 'text_c', said))
    name = next((name for name in ('string', 'text') if name in inputs), None)
    if name and isinstance(inputs.get('find'), str) and 'replace' in inputs:  # nodes_string.py: StringReplace; WAS
        return _replaced(said(name), inputs['find'], _given(inputs, 'replace', said))
    return None


def joined(parts: list[Words], inputs: Inputs) -> Words:
    """Texts with what the node puts between them."""
    between = next((inputs[name] for name in ('delimiter', 'separator', 'delim') if name in inputs), ', ')
    between = between if isinstance(between, str) else ', '
    found = together(*parts)
    if len(found.texts) < 2:
        return found
    if sum(map(len, found.texts)) + len(between) * len(found.texts) > LONGEST_PROMPT:
        return OPEN
    return found._replace(texts=(between.join(found.texts),))


def _given(inputs: Inputs, name: str, said: Said) -> str | None:
    """A string as it stands, be it words or not; None where nothing is known to come by its link."""
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
    return together(*(typed(text.replace(find, by)) for text in words.texts), Words((), words.is_open))


def _filled(inputs: Inputs, said: Said) -> Words:
    """Python's format with its values; open where one of them is."""
    values = {name[7:]: _given(inputs, name, said) for name in inputs if name.startswith('values.')}
    template = inputs['f_string']
    places = template.count('{')
    if None in values.values() or places * max(map(len, values.values()), default=0) > 5 * LONGEST_PROMPT:
        return OPEN
    kept = {'{{': '{', '}}': '}'}
    return (
        typed(_PLACE.sub(lambda place: kept.get(place[0]) or values.get(place[1]) or '', template))
        if places
        else NOTHING
    )
