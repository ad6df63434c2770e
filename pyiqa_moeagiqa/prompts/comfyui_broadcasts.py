"""Find inputs in a ComfyUI drawing that have no link but get what a node broadcasts (extension cg-use-everywhere).

The extension writes into the drawing which inputs it has joined to which outputs. Without that list, only its node 'Prompts
Everywhere' is followed, which gives two prompts to the inputs called positive and negative.
"""

from typing import Any

from . import comfyui_nodes as facts
from .comfyui_widgets import listed, slots_of

Place = tuple[str, int]  # a node and the place of one of its inputs or outputs


def broadcast_inputs(drawing: dict[str, Any], nodes: dict[str, Any], links: dict[Any, Place]) -> dict[Place, Place]:
    """Map each input that gets a broadcast to the output that it comes from."""
    extra = drawing.get('extra')
    joined = listed(extra.get('ue_links')) if isinstance(extra, dict) else []
    if joined:
        return dict(pair for one in joined if (pair := _pair(one)))
    broadcasters = [
        node for node in nodes.values() if node.get('type') == 'Prompts Everywhere' and not node.get('mode')
    ]
    if len(broadcasters) != 1:
        return {}
    sources = [
        links.get(link) if _is_key(link := slot.get('link')) else None for slot in slots_of(broadcasters[0], 'inputs')
    ]
    positive, negative = (*sources[:2], None, None)[:2]
    found = {}
    for number, node in nodes.items():
        for place, slot in enumerate(slots_of(node, 'inputs')):
            source = (
                positive
                if facts.POSITIVE.search(slot['name'])
                else negative
                if facts.NEGATIVE.search(slot['name'])
                else None
            )
            if source and slot.get('link') is None and slot.get('type') == 'CONDITIONING':
                found[number, place] = source
    return found


def _pair(joined: Any) -> tuple[Place, Place] | None:
    names = ('downstream', 'downstream_slot', 'upstream', 'upstream_slot')
    to, place, source, output = (joined.get(name) if isinstance(joined, dict) else None for name in names)
    if not (_is_key(to) and isinstance(place, int) and _is_key(source) and isinstance(output, int)):
        return None
    return (str(to), place), (str(source), output)


def _is_key(value: Any) -> bool:
    return isinstance(value, str | int)
