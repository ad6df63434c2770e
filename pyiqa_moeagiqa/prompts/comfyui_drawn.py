"""ComfyUI's graph as it was drawn (its front end's ``workflow``) -> the graph as it would run.

What the front end does before it sends a graph is done here: subgraphs are unfolded, nodes that are muted are left out and
bypassed ones passed through, reroutes, primitives and pairs of Set and Get nodes are followed, and typed values get the names
of their widgets. Names come from the drawing where it has them, and from ``comfyui_nodes.WIDGETS``. Of a node that neither knows,
a typed text counts where it is plainly the only one.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from . import comfyui_nodes as facts
from .clean import without_blocks
from .comfyui_values import LONGEST_NAME

Graph = dict[str, dict[str, Any]]

MUTED, BYPASSED = (2, 'never'), (4,)  # modes of LiteGraph
INWARDS, OUTWARDS = -10, -20  # the two ends of a subgraph, which are numbered like nodes
DEEPEST, MOST, MOST_SHEETS = 60, 5000, 100
_CONTROLS = {'fixed', 'randomize', 'increment', 'decrement'}  # added by the front end after a seed
_COMMENT = re.compile(r'(?<!:)//.*')  # the front end takes them out before it sends a text

# Every word with a capital or a number, and no comma: ``Some Model 2 (Version 3.1)``
_OPTION = re.compile(r'(?:[^\w\s,]{0,3}(?:[A-Z0-9][\w.+-]{0,30})[^\w\s,]{0,3}\s?){2,12}')


class Typed(NamedTuple):
    """A value that was typed."""

    value: Any


def as_run(workflow: Any) -> Graph:
    """The graph that a drawing stands for; an empty one where it is none."""
    if not isinstance(workflow, dict) or not isinstance(workflow.get('nodes'), list):
        return {}
    definitions = workflow.get('definitions')
    subgraphs = definitions.get('subgraphs') if isinstance(definitions, dict) else None
    known = {one.get('id'): one for one in _list(subgraphs) if isinstance(one, dict) and isinstance(one.get('id'), str)}
    graph: Graph = {}
    _Sheet(workflow, known).write(graph)
    return graph


def shown_texts(workflow: Any) -> dict[str, str]:
    """What nodes that show texts have kept of them, by the nodes' numbers: ComfyUI writes it into the drawing when they have run."""
    nodes = _list(workflow.get('nodes')) if isinstance(workflow, dict) else []
    found = {}
    for node in nodes:
        if isinstance(node, dict) and facts.SHOWS.search(str(node.get('type'))):
            texts = [value for value in _flat(node.get('widgets_values')) if isinstance(value, str) and value.strip()]
            found |= {str(node.get('id')): texts[0]} if len(texts) == 1 else {}
    return found


def _flat(values: Any) -> list[Any]:
    return [one for value in _list(values) for one in (value if isinstance(value, list) else [value])]


class _Sheet:
    """One level of a drawing: the whole, or a subgraph behind one of its nodes."""

    def __init__(
        self, drawing: dict[str, Any], known: dict[str, Any], above: '_Sheet | None' = None, holder: Any = None
    ):
        self.drawing, self.above, self.holder = drawing, above, holder
        self.prefix = f'{above.prefix}{holder["id"]}:' if above else ''
        self.sheets = above.sheets if above else [self]  # all that were unfolded
        nodes = [node for node in _list(drawing.get('nodes')) if isinstance(node, dict)]
        self.nodes = {str(node.get('id')): node for node in nodes if isinstance(node.get('id'), str | int)}
        self.links = dict(_links(drawing.get('links')))
        self.inside: dict[str, _Sheet] = {}
        for number, node in self.nodes.items():
            kind, runs = node.get('type'), node.get('mode') not in MUTED + BYPASSED
            if runs and isinstance(kind, str) and kind in known and self.level() < 8 and len(self.sheets) < MOST_SHEETS:
                self.sheets.append(self)
                self.inside[number] = _Sheet(known[kind], known, self, node)

    def level(self) -> int:
        """How many subgraphs this one is in."""
        return self.above.level() + 1 if self.above else 0

    @cached_property
    def ends(self) -> dict[tuple[str, int], Any]:
        """The link that leads to each output of this subgraph."""
        return {end: name for name, end in _ends(self.drawing.get('links'))}

    @cached_property
    def entries(self) -> dict[int, tuple[dict[str, Any], str]]:
        """The node and input that each input of this subgraph leads to first."""
        slots = {name: slot for name, (number, slot) in self.links.items() if number == str(INWARDS)}
        found: dict[int, tuple[dict[str, Any], str]] = {}
        for node in self.nodes.values():
            for one in _slots(node, 'inputs'):
                if isinstance(one.get('link'), str | int) and one['link'] in slots:
                    found.setdefault(slots[one['link']], (node, one['name']))
        return found

    @cached_property
    def names(self) -> list[str]:
        """The names of this subgraph's inputs."""
        return [str(end.get('name')) for end in _list(self.drawing.get('inputs')) if isinstance(end, dict)]

    @cached_property
    def given(self) -> dict[str, Any]:
        """The values typed into the node that holds this subgraph, by the names of its inputs."""
        values = self.holder.get('widgets_values')
        if isinstance(values, dict):
            return values
        ways = [
            name for slot, name in enumerate(self.names) if slot in self.entries and _is_widget(*self.entries[slot])
        ]
        values = _list(values)
        return dict(zip(ways, values, strict=True)) if len(values) == len(ways) else {}

    @cached_property
    def setters(self) -> dict[str, dict[str, Any]]:
        """The Set nodes of this level by what they set."""
        setters = (node for node in self.nodes.values() if node.get('type') == 'SetNode')
        return {str(_list(node.get('widgets_values'))[:1]): node for node in setters}

    def write(self, graph: Graph) -> None:
        """Puts this level's nodes, and those of the levels below, into ``graph``."""
        for number, node in self.nodes.items():
            if len(graph) >= MOST or node.get('mode') in MUTED + BYPASSED:
                continue
            if number in self.inside:
                self.inside[number].write(graph)
                continue
            inputs = dict(self.typed(number))
            for slot in _slots(node, 'inputs'):
                origin = self.origin(slot.get('link')) if slot.get('link') is not None else None
                if slot.get('link') is not None:
                    inputs.pop(slot['name'], None)
                if origin is not None:
                    inputs[slot['name']] = origin.value if isinstance(origin, Typed) else origin
            outputs = [slot['name'] for slot in _slots(node, 'outputs')]
            graph[self.prefix + number] = {'class_type': node.get('type'), 'inputs': inputs, 'outputs': outputs}

    def typed(self, number: str) -> dict[str, Any]:
        """A node's typed values by name, without the comments that were typed into them."""
        values = _named_values(self.nodes[number])
        return {
            name: _COMMENT.sub('', without_blocks(value)) if isinstance(value, str) else value
            for name, value in values.items()
        }

    def origin(self, link: Any, depth: int = 0) -> 'list | Typed | None':
        """Where a link comes from: a node that runs and its output, a typed value, or nowhere."""
        number, slot = self.links.get(link, (None, 0)) if isinstance(link, str | int) else (None, 0)
        if number is None or depth > DEEPEST:
            return None
        if number == str(INWARDS):
            return self._from_above(slot, depth)
        node = self.nodes.get(number)
        if node is None or node.get('mode') in MUTED:
            return None
        if node.get('mode') in BYPASSED:
            return self.origin(_passed(node, slot), depth + 1)
        if number in self.inside:
            return self.inside[number].result(slot, depth + 1)
        kind = node.get('type')
        if kind == 'Reroute':
            return self.origin(_first_link(node), depth + 1)
        if kind == 'PrimitiveNode':
            values = _list(node.get('widgets_values'))
            return Typed(values[0]) if values else None
        if kind == 'GetNode' and (found := self._set_node(_list(node.get('widgets_values'))[:1])):
            sheet, setter = found
            return sheet.origin(_first_link(setter), depth + 1)
        return [self.prefix + number, slot]

    def result(self, slot: int, depth: int) -> 'list | Typed | None':
        """What a subgraph hands on through one of its outputs."""
        return self.origin(self.ends.get((str(OUTWARDS), slot)), depth)

    def _from_above(self, slot: int, depth: int) -> 'list | Typed | None':
        """What a subgraph is given through one of its inputs: by link, or as a value typed into the node that holds it."""
        if self.above is None or not 0 <= slot < len(self.names):
            return None
        for given in _slots(self.holder, 'inputs'):
            if given['name'] == self.names[slot] and given.get('link') is not None:
                return self.above.origin(given['link'], depth + 1)
        if self.names[slot] in self.given:
            return Typed(self.given[self.names[slot]])
        node, name = self.entries.get(slot, ({}, ''))  # the value stands in the widget that the input leads to
        values = _named_values(node)
        return Typed(values[name]) if name in values else None

    def _set_node(self, names: list[Any]) -> 'tuple[_Sheet, dict[str, Any]] | None':
        sheet: _Sheet | None = self
        while names and sheet:
            if str(names) in sheet.setters:
                return sheet, sheet.setters[str(names)]
            sheet = sheet.above
        return None


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []


def _slots(node: dict[str, Any], way: str) -> list[dict[str, Any]]:
    slots = (slot for slot in _list(node.get(way)) if isinstance(slot, dict) and isinstance(slot.get('name'), str))
    return [slot for slot in slots if len(slot['name']) <= LONGEST_NAME]


def _links(links: Any) -> Iterator[tuple[Any, tuple[str, int]]]:
    """Each link's number and where it comes from; a list in the whole drawing, an object in a subgraph."""
    for link in _list(links):
        if isinstance(link, dict):
            link = [link.get(key) for key in ('id', 'origin_id', 'origin_slot')]
        if isinstance(link, list) and len(link) > 2 and isinstance(link[0], str | int) and isinstance(link[2], int):
            yield link[0], (str(link[1]), link[2])


def _ends(links: Any) -> Iterator[tuple[Any, tuple[str, Any]]]:
    for link in _list(links):
        if isinstance(link, dict) and isinstance(link.get('id'), str | int):
            yield link['id'], (str(link.get('target_id')), link.get('target_slot'))


def _first_link(node: dict[str, Any]) -> Any:
    return next((slot['link'] for slot in _slots(node, 'inputs') if slot.get('link') is not None), None)


def _passed(node: dict[str, Any], output: int) -> Any:
    """The link that a bypassed node hands on: of the input in the same place, or of the first, with the output's type."""
    outputs, inputs = _slots(node, 'outputs'), _slots(node, 'inputs')
    kind = outputs[output].get('type') if 0 <= output < len(outputs) else None
    same = inputs[output : output + 1] + inputs if 0 <= output < len(inputs) else inputs
    return next(
        (slot['link'] for slot in same if slot.get('link') is not None and kind in (None, slot.get('type'))), None
    )


def _is_widget(node: dict[str, Any], name: str) -> bool:
    """Whether an input of a node can be typed: the drawing says so, or its class."""
    slot = next(slot for slot in _slots(node, 'inputs') if slot['name'] == name)
    return bool(slot.get('widget')) or slot.get('type') in ('STRING', 'INT', 'FLOAT', 'BOOLEAN', 'COMBO')


def _named_values(node: dict[str, Any]) -> dict[str, Any]:
    """The values typed into a node, by the names of its widgets."""
    values = node.get('widgets_values')
    if isinstance(values, dict):
        return {name: value for name, value in values.items() if isinstance(name, str)}
    values = _list(values)
    kept = [
        value for place, value in enumerate(values) if not (place and isinstance(value, str) and value in _CONTROLS)
    ]
    named = [slot['widget'].get('name') for slot in _slots(node, 'inputs') if isinstance(slot.get('widget'), dict)]
    if named and len(named) == len(kept) and all(isinstance(name, str) for name in named):
        return dict(zip(named, kept, strict=True))
    if isinstance(node.get('type'), str) and node['type'] in facts.WIDGETS:
        return dict(zip(facts.WIDGETS[node['type']], kept, strict=False))
    return _guessed(node, kept)


def _guessed(node: dict[str, Any], values: list[Any]) -> dict[str, Any]:
    """The one text among the values of a node that is not known; of two, the first where the outputs name both sides."""
    texts = [
        value
        for value in values
        if isinstance(value, str) and value.strip() and not facts.INSTRUCTION.search(value[:400])
    ]
    slots = _slots(node, 'inputs')
    if any(slot.get('link') is not None and facts.TEXT.fullmatch(slot['name']) for slot in slots):
        return {}  # the text comes by link, and what is typed are options
    kinds = {slot.get('type') for slot in slots}
    if 'CONDITIONING' in kinds and 'CLIP' not in kinds:
        return {}  # nothing is encoded here
    said = [
        text for text in texts if (len(text.split()) > 3 or ', ' in text) and '://' not in text and ';\n' not in text
    ]
    said = [text for text in said if not _OPTION.fullmatch(text)]
    if len(texts) == len(values) == 1 and 'CONDITIONING' not in kinds:
        said = texts
    outputs = ' '.join(f'{slot["name"]} {slot.get("type")}'.lower() for slot in _slots(node, 'outputs'))
    both_sides = 'positive' in outputs and 'negative' in outputs
    makes_pictures = 'image' in outputs or 'video' in outputs
    if len(said) == 1 and not both_sides:
        return {'prompt' if makes_pictures else 'text': said[0]}
    if both_sides and len(said) in (1, 2):
        return {'positive': said[0], 'negative': said[1] if len(said) == 2 else ''}
    if makes_pictures and said:  # a service's prompt comes before what it is not to show
        return {'prompt': said[0]}
    return {}
