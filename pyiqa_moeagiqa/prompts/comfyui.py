"""ComfyUI's graph of nodes -> the text that its sampler was given as positive conditioning.

A file holds the graph as it was run (``prompt``: node number -> class and inputs, an input being a value or a link [node,
output]) and as it was drawn (``workflow``); the first is what was computed. Of several samplers the one furthest from the
saved image counts: later ones refine its image. Names of inputs decide, not classes: nodes of extensions are without number.
"""

import re
from collections.abc import Iterator
from typing import Any

Graph = dict[str, dict[str, Any]]

_TEXT_INPUT = re.compile(
    r'(?:text|string|str|prompt|value|positive)(?:_?(?:\w|\d+|positive|prompt))?|populated_text|clip_[lgh]|t5xxl|llama'
)
_NO_WAY = re.compile(
    r'.*negative|clip|vae|model|control_net|image|mask|latent|samples|noise|sampler|sigmas|style|pixels|unet'
)
_SAMPLER_INPUTS = {'latent_image', 'sampler_name', 'sampler', 'steps', 'seed', 'noise_seed'}
_FIRST_INPUTS = ('guider', 'positive')
_NO_WORDS = {'ConditioningZeroOut'}


def graph_prompt(graph: Any) -> str | None:
    """The text of a graph as it was run; None where none is found."""
    nodes = {
        str(number): node
        for number, node in (graph.items() if isinstance(graph, dict) else ())
        if isinstance(node, dict) and isinstance(node.get('inputs'), dict)
    }
    texts = _Texts(nodes)
    for number, name in _starts(nodes):
        if words := ', '.join(dict.fromkeys(texts.of_input(number, name))):
            return words
    return None


def workflow_prompt(workflow: Any) -> str | None:
    """The text of a graph as it was drawn. What was typed into a node has no name there: only its first text counts."""
    if not isinstance(workflow, dict):
        return None
    origins = {link[0]: [str(link[1]), link[2]] for link in workflow.get('links', ()) if isinstance(link, list)}
    graph = {}
    for node in workflow.get('nodes', ()):
        typed = node.get('widgets_values')
        texts = [value for value in typed if isinstance(value, str)] if isinstance(typed, list) else []
        inputs = {'text': texts[0]} if texts else {}
        slots = {slot['name']: origins.get(slot.get('link')) for slot in node.get('inputs') or ()}
        inputs |= {name: origin for name, origin in slots.items() if origin}
        graph[str(node['id'])] = {'class_type': node.get('type'), 'inputs': inputs}
    return graph_prompt(graph)


def _starts(nodes: Graph) -> Iterator[tuple[str, str]]:
    """Nodes and their input where the search for words begins, the likeliest first."""
    order = _upstream(nodes)
    for is_sampler in (True, False):
        for number in reversed(order):
            inputs = nodes[number]['inputs']
            if is_sampler and not _SAMPLER_INPUTS & inputs.keys():
                continue
            yield from ((number, name) for name in _FIRST_INPUTS if name in inputs)
    for number in order:  # nodes that ask a service for an image
        if isinstance(nodes[number]['inputs'].get('prompt'), str | list):
            yield number, 'prompt'


def _upstream(nodes: Graph) -> list[str]:
    """Nodes in the order in which they are met from the ends of the graph (what is saved) backwards."""
    asked = {link for node in nodes.values() for link in _links(node['inputs'])}
    order = [number for number in nodes if number not in asked] or list(nodes)
    met = set(order)
    for number in order:  # grows as it is walked
        new = [link for link in _links(nodes[number]['inputs']) if link in nodes and link not in met]
        order += dict.fromkeys(new)
        met.update(new)
    return order


def _links(inputs: dict[str, Any]) -> list[str]:
    return [str(value[0]) for value in inputs.values() if _is_link(value)]


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int)


class _Texts:
    """Texts met on the way from an input backwards. Every node is walked once, so a circle ends, and no text comes twice."""

    def __init__(self, nodes: Graph):
        self.nodes, self.walked = nodes, set()

    def of_input(self, number: str, name: str) -> list[str]:
        value = self.nodes[number]['inputs'][name]
        if isinstance(value, str):
            return [value.strip()] if value.strip() else []
        return self._of_node(str(value[0]), value[1]) if _is_link(value) else []

    def _of_node(self, number: str, output: Any) -> list[str]:
        node = self.nodes.get(number)
        if node is None or number in self.walked or node.get('class_type') in _NO_WORDS:
            return []
        self.walked.add(number)
        inputs = node['inputs']
        if {'positive', 'negative'} <= inputs.keys() and output == 1:  # the second output hands the second input on
            return self.of_input(number, 'negative')
        if 'populated_text' in inputs:  # what a wildcard became
            return self.of_input(number, 'populated_text')
        texts = [text for name in inputs if _TEXT_INPUT.fullmatch(name) for text in self.of_input(number, name)]
        if texts:
            return [_joined(texts, inputs)]
        return [text for name in _ways(inputs) for text in self.of_input(number, name)]


def _ways(inputs: dict[str, Any]) -> list[str]:
    """The inputs that words may come by; of a switch, the one that is on."""
    chosen = f'input{inputs.get("select")}'
    if chosen in inputs:
        return [chosen]
    ways = [name for name, value in inputs.items() if _is_link(value) and not _NO_WAY.match(name)]
    return ways[:1] if ways and all(name.startswith('any_') for name in ways) else ways


def _joined(texts: list[str], inputs: dict[str, Any]) -> str:
    between = next((inputs[name] for name in ('delimiter', 'separator', 'delim') if name in inputs), ', ')
    return (between if isinstance(between, str) else ', ').join(dict.fromkeys(texts))
