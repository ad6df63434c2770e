"""Find the input that a switch of ComfyUI passes on.

Switches name their sides in different ways: true and false, numbers, or letters. The input that selects a side has different
names, too. If it is a link, it is followed to the typed number; if the number is computed on the way, every side is possible.
"""

from typing import Any

from . import comfyui_nodes as facts
from .comfyui_values import SCALAR, Graph, Inputs, is_link, is_scalar, kind_of

_TRUTH = {'true': 1, 'on': 1, 'false': 0, 'off': 0}


def sides_of(node: dict[str, Any], nodes: Graph) -> list[str] | None:
    """Return the inputs that a switch can pass on: one if the selection is known; None if the node is no switch."""
    inputs = node['inputs']
    for of_their_kind in (_first_there, _true_and_false, _numbered, _lettered):
        if (sides := of_their_kind(kind_of(node), inputs, nodes)) is not None:
            return sides
    return None


def _first_there(kind: str, inputs: Inputs, nodes: Graph) -> list[str] | None:
    """rgthree's switches pass on the first input that exists, its merging nodes the last."""
    there = [
        name
        for name in inputs
        if facts.FIRST.fullmatch(name) and is_link(inputs[name]) and str(inputs[name][0]) in nodes
    ]
    there.sort(key=_number)
    return (there[-1:] if 'Merge' in kind else there[:1]) or None


def _true_and_false(kind: str, inputs: Inputs, nodes: Graph) -> list[str] | None:
    on, off = ([name for name in inputs if way.fullmatch(name)] for way in (facts.ON, facts.OFF))
    if not on and not off:
        return None
    selector = next((name for name in inputs if name.lower() in facts.SELECTORS and name not in on + off), None)
    value = None if selector is None else _scalar(inputs[selector], nodes)
    return on + off if value is None else (on if value else off)


def _numbered(kind: str, inputs: Inputs, nodes: Graph) -> list[str] | None:
    selector = _selector(inputs)
    names = [name for name in inputs if facts.NUMBERED.fullmatch(name) and name != selector]
    if selector is None or not names or not (facts.SWITCH.search(kind) or selector in ('select', 'index')):
        return None
    value = _scalar(inputs[selector], nodes)
    return names if value is None else [name for name in names if _number(name) == value]


def _lettered(kind: str, inputs: Inputs, nodes: Graph) -> list[str] | None:
    """WAS Node Suite: true passes on the first input, false the second."""
    selector, names = _selector(inputs), [name for name in inputs if name.endswith(('_a', '_b'))]
    if selector is None or len(names) != 2 or not facts.SWITCH.search(kind):
        return None
    value = _scalar(inputs[selector], nodes)
    return names if value is None else [names[0 if value else 1]]


def _selector(inputs: Inputs) -> str | None:
    found = {name.lower(): name for name, value in reversed(inputs.items()) if is_link(value) or is_scalar(value)}
    return next((found[name] for name in facts.SELECTORS if name in found), None)


def _number(name: str) -> int:
    match = facts.NUMBERED.fullmatch(name)
    assert match is not None  # callers ask for such names only
    return int(match[2][:9])


def _scalar(value: Any, nodes: Graph) -> int | None:
    """Follow a number or truth value to where it was typed; return None if it is computed."""
    is_turned = False
    for _ in range(20):
        if not is_link(value):
            break
        node = nodes.get(str(value[0]), {'inputs': {}})
        ways = [one for one in node['inputs'].values() if is_link(one) or is_scalar(one)]
        if len(ways) != 1 or facts.WORKED_OUT.search(kind_of(node)):
            return None
        value, is_turned = ways[0], is_turned != bool(facts.NOT.search(kind_of(node)))
    number = _typed_number(value)
    return number if number is None or not is_turned else int(not number)


def _typed_number(value: Any) -> int | None:
    if isinstance(value, str) and SCALAR.fullmatch(value):
        return _TRUTH[value.lower()] if value.lower() in _TRUTH else int(value)
    return int(value) if isinstance(value, int) else None
