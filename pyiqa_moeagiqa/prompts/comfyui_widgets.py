"""Values typed into the widgets of ComfyUI's nodes, as the front end's drawing keeps them -> values by name.

Names come from the drawing if it has them, else from ``comfyui_nodes.WIDGETS``. If neither has names for a node, a typed
text counts if it is clearly the only one.
"""

from typing import Any

from . import comfyui_nodes as facts
from .comfyui_values import LONGEST_NAME

_CONTROLS = {'fixed', 'randomize', 'increment', 'decrement'}  # added by the front end after a seed


def listed(value: Any) -> list:
    """Return the value if it is a list, else an empty list."""
    return value if isinstance(value, list) else []


def slots_of(node: dict[str, Any], way: str) -> list[dict[str, Any]]:
    """Return the inputs or outputs (``way``) of a drawn node."""
    slots = (slot for slot in listed(node.get(way)) if isinstance(slot, dict) and isinstance(slot.get('name'), str))
    return [slot for slot in slots if len(slot['name']) <= LONGEST_NAME]


def is_widget(node: dict[str, Any], name: str) -> bool:
    """Whether values can be typed into an input: the drawing names a widget, or the input's type has one."""
    slot = next(slot for slot in slots_of(node, 'inputs') if slot['name'] == name)
    return bool(slot.get('widget')) or slot.get('type') in ('STRING', 'INT', 'FLOAT', 'BOOLEAN', 'COMBO')


def named_values(node: dict[str, Any]) -> dict[str, Any]:
    """Return the values typed into a node, by the names of its widgets."""
    values = node.get('widgets_values')
    if isinstance(values, dict):
        return {name: value for name, value in values.items() if isinstance(name, str)}
    values = listed(values)
    kept = [
        value for place, value in enumerate(values) if not (place and isinstance(value, str) and value in _CONTROLS)
    ]
    named = [slot['widget'].get('name') for slot in slots_of(node, 'inputs') if isinstance(slot.get('widget'), dict)]
    if named and len(named) == len(kept) and all(isinstance(name, str) for name in named):
        return dict(zip(named, kept, strict=True))
    if isinstance(node.get('type'), str) and node['type'] in facts.WIDGETS:
        return dict(zip(facts.WIDGETS[node['type']], kept, strict=False))
    return _guessed(node, kept)


def _guessed(node: dict[str, Any], values: list[Any]) -> dict[str, Any]:
    """Find the one text among the values of an unknown node.

    Two texts are taken as positive and negative if the outputs name both sides. A node that makes pictures can have more
    than one: the first counts.
    """
    texts = [
        value
        for value in values
        if isinstance(value, str) and value.strip() and not facts.INSTRUCTION.search(value[:400])
    ]
    slots = slots_of(node, 'inputs')
    if any(slot.get('link') is not None and facts.TEXT.fullmatch(slot['name']) for slot in slots):
        return {}  # the text comes by link, and what is typed are options
    kinds = {slot.get('type') for slot in slots}
    if 'CONDITIONING' in kinds and 'CLIP' not in kinds:
        return {}  # nothing is encoded here
    said = [
        text for text in texts if (len(text.split()) > 3 or ', ' in text) and '://' not in text and ';\n' not in text
    ]
    said = [text for text in said if not _is_option(text)]
    if len(texts) == len(values) == 1 and 'CONDITIONING' not in kinds:
        said = texts
    outputs = ' '.join(f'{slot["name"]} {slot.get("type")}'.lower() for slot in slots_of(node, 'outputs'))
    both_sides = 'positive' in outputs and 'negative' in outputs
    makes_pictures = 'image' in outputs or 'video' in outputs
    if len(said) == 1 and not both_sides:
        return {'prompt' if makes_pictures else 'text': said[0]}
    if both_sides and len(said) in (1, 2):
        return {'positive': said[0], 'negative': said[1] if len(said) == 2 else ''}
    if makes_pictures and said:  # a service's prompt comes before its negative prompt
        return {'prompt': said[0]}
    return {}


def _is_option(text: str) -> bool:
    """Whether every word begins with a capital or a number, and no comma is between them: ``Some Model 2 (Version 3.1)``."""
    words = [word.lstrip('([{"\'') for word in text.split()]
    return ',' not in text and 1 < len(words) < 13 and all(word[:1].isupper() or word[:1].isdigit() for word in words)
