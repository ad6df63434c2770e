"""ComfyUI's graph of nodes -> the text that its sampler was given as positive conditioning.

A file holds two graphs: ``prompt`` is the graph as it was run (node number -> class and inputs; an input is a value or a
link [node, output]), ``workflow`` the graph as it was drawn. The graph as it was run is the one that was computed. If
several samplers follow each other, the first counts: later ones refine its picture. If the graph saves pictures of several
prompts, nothing tells which prompt belongs to this picture.
"""

import re
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from . import comfyui_nodes as facts
from .comfyui_drawn import as_run, shown_texts
from .comfyui_values import LONGEST_NAME, NOTHING, Graph, Words, is_link, kind_of
from .comfyui_words import Reader, side_inputs

MOST, MOST_MAKERS = 20_000, 300  # most nodes of a graph, and most nodes that make a picture


class Reading(NamedTuple):
    """The prompt of a graph, or, if it is not certain, the texts that it could be."""

    prompt: str | None = None
    candidates: tuple[str, ...] = ()


def graph_prompt(graph: Any) -> str | None:
    """Return the prompt of a graph as it was run; None if none is found, or none is certain."""
    return read_graph(graph).prompt


def workflow_prompt(workflow: Any) -> str | None:
    """Return the prompt of a graph as it was drawn; None if none is found, or none is certain."""
    return read_drawing(workflow).prompt


def read_drawing(workflow: Any) -> Reading:
    """Read the prompt, or the candidates, of a graph as it was drawn."""
    return read_graph(as_run(workflow))


def read_run(graph: Any, workflow: Any = None) -> Reading:
    """Read the prompt, or the candidates, of a graph as it was run.

    The drawing adds only the texts that nodes showed after the run, for a prompt that is not certain without them.
    """
    found = read_graph(graph)
    shown = shown_texts(workflow) if found.prompt is None else {}
    if not shown.keys() & graph.keys():
        return found
    return read_graph({number: _with_shown(node, shown.get(number)) for number, node in graph.items()})


def _with_shown(node: Any, text: str | None) -> Any:
    return node if text is None or not is_node(node) else node | {'inputs': node['inputs'] | {'text_0': text}}


def is_node(node: Any) -> bool:
    """Whether an object is a node of a graph as it was run."""
    return isinstance(node, dict) and isinstance(node.get('inputs'), dict)


def is_graph(values: Any) -> bool:
    """Whether an object is a graph as it was run."""
    return isinstance(values, dict) and any(isinstance(node, dict) and 'class_type' in node for node in values.values())


def read_graph(graph: Any) -> Reading:
    """Read the prompt, or the candidates, of a graph as it was run."""
    found = graph.items() if isinstance(graph, dict) else ()
    nodes = {str(number): _tidy(node) for number, node in found if is_node(node)}
    if not 0 < len(nodes) <= MOST:
        return Reading()
    reader = Reader(nodes)
    makers = _samplers(nodes) or _askers(nodes)
    said = _Passes(nodes, reader, makers).said() if len(makers) <= MOST_MAKERS else []
    prompts = list(dict.fromkeys(', '.join(text.strip() for text in words.texts) for words in said if words.texts))
    if len(prompts) == 1 and not any(words.texts and words.is_open for words in said):
        return Reading(prompts[0])
    return Reading(None, tuple(dict.fromkeys(prompts) | reader.doubtful))


def _tidy(node: dict[str, Any]) -> dict[str, Any]:
    """Return a node without the inputs whose names are too long to be names."""
    return node | {'inputs': {name: value for name, value in node['inputs'].items() if len(name) <= LONGEST_NAME}}


def _samplers(nodes: Graph) -> dict[str, list[str]]:
    """Find the nodes that make a picture step by step, with their inputs that describe the picture."""
    found = {}
    for number, node in nodes.items():
        kind = kind_of(node)
        is_set = facts.SAMPLER_SETTINGS & node['inputs'].keys() and not facts.BUNDLE.search(kind)
        samples = is_set or facts.SAMPLER.search(kind)
        if samples and not _is_saver(node) and (asks := _asks(node, facts.ASKS) or _asks(node, facts.ASKS_ALONE)):
            found[number] = asks
    return found


def _askers(nodes: Graph) -> dict[str, list[str]]:
    """Find other nodes whose inputs describe the picture: loaders that encode, and nodes that ask a service for a picture."""
    found = {}
    negative = _only_negative(nodes)
    for number, node in nodes.items():
        kind = kind_of(node)
        if _is_saver(node) or number in negative or facts.LANGUAGE_MODEL.search(kind) or facts.NO_PROMPT.search(kind):
            continue
        if asks := [name for name in _asks(node, facts.ASKS_ALONE) if not facts.PIPES.fullmatch(name)]:
            found[number] = asks
    return found


def _asks(node: dict[str, Any], names: Any) -> list[str]:
    """Return the inputs through which a maker gets its words: its guider, else its positive side, else its pipe."""
    inputs = {
        name: value
        for name, value in side_inputs(node['inputs'], 'positive').items()
        if is_link(value) or isinstance(value, str)
    }
    for wanted in (_GUIDER, names, facts.PIPES):
        if asks := [name for name in inputs if wanted.fullmatch(name)]:
            return asks
    return []


_GUIDER = re.compile('guider')


def _is_saver(node: dict[str, Any]) -> bool:
    return bool(facts.SAVERS.search(kind_of(node)))


def _only_negative(nodes: Graph) -> set[str]:
    """Return the nodes that are linked to inputs named negative and to no others."""
    asked: dict[str, set[bool]] = {}
    for node in nodes.values():
        for name, value in node['inputs'].items():
            if is_link(value):
                asked.setdefault(str(value[0]), set()).add(bool(facts.NEGATIVE.search(name)))
    return {number for number, sides in asked.items() if sides == {True}}


class _Passes:
    """Follows makers one behind the other, from the saved pictures back to the first pass."""

    def __init__(self, nodes: Graph, reader: Reader, makers: dict[str, list[str]]):
        self.nodes, self.reader, self.makers = nodes, reader, makers
        self._nearest: dict[str, list[str]] = {}

    def said(self) -> list[Words]:
        """Return the words from which each saved picture was made; they are open if the way could not be followed."""
        lasts = self._of_pictures()
        behind = {number for last in lasts for number in self._all_behind(last)}
        return [self._first(last) for last in lasts if last not in behind or last in self._all_behind(last)]

    def _of_pictures(self) -> list[str]:
        """Return the makers nearest to the saved pictures; else those nearest to the ends of the graph; else all makers."""
        asked = {str(value[0]) for node in self.nodes.values() for value in node['inputs'].values() if is_link(value)}
        ends = [number for number in self.nodes if number not in asked]
        saved = [number for number, node in self.nodes.items() if _is_saver(node)]
        for starts in (saved, ends):
            if found := list(dict.fromkeys(maker for start in starts for maker in self._behind(start, itself=True))):
                return found
        return list(self.makers)

    def _behind(self, number: str, itself: bool = False) -> list[str]:
        """Return the nearest makers of the pictures or latents that a node is given."""
        if itself and number in self.makers:
            return [number]
        if number not in self._nearest:
            self._nearest[number] = self._search(number)
        return self._nearest[number]

    def _search(self, number: str) -> list[str]:
        found: list[str] = []
        met, waiting = {number}, deque([number])
        while waiting:
            for link in _pictures(self.nodes[waiting.popleft()]['inputs']):
                if link in met or link not in self.nodes:
                    continue
                met.add(link)
                (found if link in self.makers else waiting).append(link)
        return found

    def _all_behind(self, number: str) -> set[str]:
        met, waiting = set(), [number]
        while waiting:
            new = [maker for maker in self._behind(waiting.pop()) if maker not in met]
            met.update(new)
            waiting += new
        return met

    def _first(self, last: str) -> Words:
        """Return the words of the first pass; if a pass combines several pictures, go no further back than that pass."""
        passes, words = {last}, self._words(last)
        while len(before := [maker for maker in self._telling(last) if maker not in passes]) == 1:
            last = before[0]
            passes.add(last)
            words = self._words(last)
        return words

    def _telling(self, number: str) -> list[str]:
        """Return the nearest makers behind one that were given words; skip makers without words."""
        found: list[str] = []
        met, waiting = {number}, [number]
        while waiting:
            for maker in self._behind(waiting.pop()):
                if maker not in met:
                    met.add(maker)
                    (waiting if self._words(maker) == NOTHING else found).append(maker)
        return found

    def _words(self, number: str) -> Words:
        return self.reader.of_inputs(number, self.makers[number], 'positive')


def _pictures(inputs: dict[str, Any]) -> Iterable[str]:
    return [str(value[0]) for name, value in inputs.items() if is_link(value) and not facts.NO_PICTURE.fullmatch(name)]
