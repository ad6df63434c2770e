"""ComfyUI's graph as it was drawn (its front end's ``workflow``) -> the graph as it would run.

This module repeats what the front end does before it sends a graph: it unfolds subgraphs, leaves out muted nodes, passes
through bypassed ones, follows reroutes, primitives, broadcasts and pairs of Set and Get nodes, and gives typed values the
names of their widgets.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from . import comfyui_nodes as facts
from .clean import without_blocks
from .comfyui_broadcasts import broadcast_inputs
from .comfyui_widgets import is_widget, listed, named_values, slots_of

Graph = dict[str, dict[str, Any]]

MUTED, BYPASSED = (2, 'never'), (4,)  # modes of LiteGraph
INWARDS, OUTWARDS = -10, -20  # the two ends of a subgraph, which are numbered like nodes
SETTERS, GETTERS = ('SetNode', 'easy setNode'), ('GetNode', 'easy getNode')  # of KJNodes and easy-use
DEEPEST, MOST, MOST_SHEETS = 60, 5000, 100
_COMMENT = re.compile(r'(?<!:)//.*')  # the front end takes them out before it sends a text


class Typed(NamedTuple):
    """A value that was typed."""

    value: Any


def as_run(workflow: Any) -> Graph:
    """Convert a drawing to the graph as it would run; return an empty graph if it is no drawing."""
    if not isinstance(workflow, dict) or not isinstance(workflow.get('nodes'), list):
        return {}
    definitions = workflow.get('definitions')
    subgraphs = definitions.get('subgraphs') if isinstance(definitions, dict) else None
    known = {one['id']: one for one in listed(subgraphs) if isinstance(one, dict) and isinstance(one.get('id'), str)}
    graph: Graph = {}
    _Sheet(workflow, known).write(graph)
    return graph


def shown_texts(workflow: Any) -> dict[str, str]:
    """Map numbers of nodes that show texts to the text each showed; ComfyUI writes it into the drawing after a run."""
    nodes = listed(workflow.get('nodes')) if isinstance(workflow, dict) else []
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, dict) and facts.SHOWS.search(str(node.get('type'))):
            texts = [value for value in _flat(node.get('widgets_values')) if isinstance(value, str) and value.strip()]
            found |= {str(node.get('id')): texts[0]} if len(texts) == 1 else {}
    return found


def _flat(values: Any) -> list[Any]:
    return [one for value in listed(values) for one in (value if isinstance(value, list) else [value])]


class _Sheet:
    """One level of a drawing: the whole drawing, or the subgraph behind one of its nodes."""

    def __init__(
        self, drawing: dict[str, Any], known: dict[str, Any], above: '_Sheet | None' = None, holder: Any = None
    ):
        self.drawing, self.above, self.holder = drawing, above, holder
        self.prefix: str = f'{above.prefix}{holder["id"]}:' if above else ''
        self.sheets: list[_Sheet] = above.sheets if above else [self]  # all levels that were unfolded
        nodes = [node for node in listed(drawing.get('nodes')) if isinstance(node, dict)]
        self.nodes = {str(node.get('id')): node for node in nodes if isinstance(node.get('id'), str | int)}
        self.links = dict(_links(drawing.get('links')))
        self.inside: dict[str, _Sheet] = {}
        for number, node in self.nodes.items():
            kind, runs = node.get('type'), node.get('mode') not in MUTED + BYPASSED
            if runs and isinstance(kind, str) and kind in known and self.level() < 8 and len(self.sheets) < MOST_SHEETS:
                self.sheets.append(self)
                self.inside[number] = _Sheet(known[kind], known, self, node)

    def level(self) -> int:
        """Return how deep this level is: 0 for the whole drawing."""
        return self.above.level() + 1 if self.above else 0

    @cached_property
    def ends(self) -> dict[tuple[str, int], Any]:
        """The link to each output of this subgraph."""
        return {end: name for name, end in _ends(self.drawing.get('links'))}

    @cached_property
    def entries(self) -> dict[int, tuple[dict[str, Any], str]]:
        """For each input of this subgraph, the first node and input that it leads to."""
        slots = {name: slot for name, (number, slot) in self.links.items() if number == str(INWARDS)}
        found: dict[int, tuple[dict[str, Any], str]] = {}
        for node in self.nodes.values():
            for one in slots_of(node, 'inputs'):
                if isinstance(one.get('link'), str | int) and one['link'] in slots:
                    found.setdefault(slots[one['link']], (node, one['name']))
        return found

    @cached_property
    def names(self) -> list[str]:
        """The names of this subgraph's inputs."""
        return [str(end.get('name')) for end in listed(self.drawing.get('inputs')) if isinstance(end, dict)]

    @cached_property
    def given(self) -> dict[str, Any]:
        """The values typed into the node that holds this subgraph, by the names of its inputs."""
        values = self.holder.get('widgets_values')
        if isinstance(values, dict):
            return values
        ways = [name for slot, name in enumerate(self.names) if slot in self.entries and is_widget(*self.entries[slot])]
        values = listed(values)
        return dict(zip(ways, values, strict=True)) if len(values) == len(ways) else {}

    @cached_property
    def setters(self) -> dict[str, dict[str, Any]]:
        """The Set nodes of this level, by the names that they set."""
        setters = (node for node in self.nodes.values() if node.get('type') in SETTERS)
        return {str(listed(node.get('widgets_values'))[:1]): node for node in setters}

    @cached_property
    def broadcasts(self) -> dict[tuple[str, int], tuple[str, int]]:
        """The broadcast outputs that inputs without a link get."""
        return broadcast_inputs(self.drawing, self.nodes, self.links)

    def write(self, graph: Graph) -> None:
        """Put this level's nodes, and those of the levels below, into ``graph``."""
        for number, node in self.nodes.items():
            if len(graph) >= MOST or node.get('mode') in MUTED + BYPASSED:
                continue
            if number in self.inside:
                self.inside[number].write(graph)
                continue
            inputs = dict(self.typed(number))
            for place, slot in enumerate(slots_of(node, 'inputs')):
                if slot.get('link') is not None:
                    inputs.pop(slot['name'], None)
                    origin = self.origin(slot['link'])
                else:
                    origin = self.broadcast(number, place)
                if origin is not None:
                    inputs[slot['name']] = origin.value if isinstance(origin, Typed) else origin
            outputs = [slot['name'] for slot in slots_of(node, 'outputs')]
            graph[self.prefix + number] = {'class_type': node.get('type'), 'inputs': inputs, 'outputs': outputs}

    def typed(self, number: str) -> dict[str, Any]:
        """Return a node's typed values by name, without comments in their texts."""
        values = named_values(self.nodes[number])
        return {
            name: _COMMENT.sub('', without_blocks(value)) if isinstance(value, str) else value
            for name, value in values.items()
        }

    def origin(self, link: Any, depth: int = 0) -> 'list | Typed | None':
        """Return the source of a link: [node, output] of a node that runs, a typed value, or None."""
        number, slot = self.links.get(link, (None, 0)) if isinstance(link, str | int) else (None, 0)
        return None if number is None else self.handed_on(number, slot, depth)

    def broadcast(self, number: str, place: int) -> 'list | Typed | None':
        """Return the source of what an input without a link gets by broadcast, as ``origin`` does."""
        source = self.broadcasts.get((number, place))
        return source and self.handed_on(*source, 0)

    def handed_on(self, number: str, slot: int, depth: int) -> 'list | Typed | None':
        """Return the source of what a node passes on through one of its outputs, as ``origin`` does."""
        if depth > DEEPEST:
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
            values = listed(node.get('widgets_values'))
            return Typed(values[0]) if values else None
        if kind in GETTERS and (found := self._set_node(listed(node.get('widgets_values'))[:1])):
            sheet, setter = found
            return sheet.origin(_first_link(setter), depth + 1)
        return [self.prefix + number, slot]

    def result(self, slot: int, depth: int) -> 'list | Typed | None':
        """Return the source of what a subgraph passes on through one of its outputs, as ``origin`` does."""
        return self.origin(self.ends.get((str(OUTWARDS), slot)), depth)

    def _from_above(self, slot: int, depth: int) -> 'list | Typed | None':
        """Return what a subgraph gets through one of its inputs: by link, or as a value typed into the node that holds it."""
        if self.above is None or not 0 <= slot < len(self.names):
            return None
        for given in slots_of(self.holder, 'inputs'):
            if given['name'] == self.names[slot] and given.get('link') is not None:
                return self.above.origin(given['link'], depth + 1)
        if self.names[slot] in self.given:
            return Typed(self.given[self.names[slot]])
        node, name = self.entries.get(slot, ({}, ''))  # else the value is in the widget that the input leads to
        values = named_values(node)
        return Typed(values[name]) if name in values else None

    def _set_node(self, names: list[Any]) -> 'tuple[_Sheet, dict[str, Any]] | None':
        sheet: _Sheet | None = self
        while names and sheet:
            if str(names) in sheet.setters:
                return sheet, sheet.setters[str(names)]
            sheet = sheet.above
        return None


def _links(links: Any) -> Iterator[tuple[Any, tuple[str, int]]]:
    """Yield each link's number and source; a link is a list in the whole drawing, an object in a subgraph."""
    for link in listed(links):
        if isinstance(link, dict):
            link = [link.get(key) for key in ('id', 'origin_id', 'origin_slot')]
        if isinstance(link, list) and len(link) > 2 and isinstance(link[0], str | int) and isinstance(link[2], int):
            yield link[0], (str(link[1]), link[2])


def _ends(links: Any) -> Iterator[tuple[Any, tuple[str, Any]]]:
    for link in listed(links):
        if isinstance(link, dict) and isinstance(link.get('id'), str | int):
            yield link['id'], (str(link.get('target_id')), link.get('target_slot'))


def _first_link(node: dict[str, Any]) -> Any:
    return next((slot['link'] for slot in slots_of(node, 'inputs') if slot.get('link') is not None), None)


def _passed(node: dict[str, Any], output: int) -> Any:
    """Return the link that a bypassed node passes on: that of the input in the same place, or of the first with this type."""
    outputs, inputs = slots_of(node, 'outputs'), slots_of(node, 'inputs')
    kind = outputs[output].get('type') if 0 <= output < len(outputs) else None
    same = inputs[output : output + 1] + inputs if 0 <= output < len(inputs) else inputs
    return next(
        (slot['link'] for slot in same if slot.get('link') is not None and kind in (None, slot.get('type'))), None
    )
