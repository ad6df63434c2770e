"""Follow an input of a ComfyUI node backwards to the words that reach it.

Each node's answer is kept for each side (positive or negative) and output, so that circles end and branching links do not
multiply the work. The answer stays open if a source cannot be followed: a language model's answer, or a switch that a
formula sets.
"""

import re
from collections.abc import Iterator
from typing import Any

from . import comfyui_nodes as facts
from .clean import LONGEST_PROMPT
from .comfyui_chance import possible_texts
from .comfyui_strings import in_order, joined, worked_on
from .comfyui_switches import sides_of
from .comfyui_values import NOTHING, OPEN, Graph, Inputs, Words, is_link, kind_of, together, typed

DEEPEST = 100  # nodes one behind the other
MOST_CHARACTERS = 50 * LONGEST_PROMPT  # total length of all texts that are joined in one graph
LONGEST_SENTENCE = 400  # characters at the start of a text in which an instruction is recognised
_CODE = re.compile(r'://|^\s*[{\[]|;\s*\n')
_INSTRUCTS = re.compile(r'system|instruct|role|template', re.IGNORECASE)
# Dynamic prompts, before the random choice
_TEMPLATE = re.compile(r'\{[^{}|]*\|[^{}]*\}|__[\w/*-]+__|\|\|\w+\|\||%\w+%')


class Reader:
    """Finds words in one graph. ``doubtful`` collects texts that could be the prompt, if nothing tells which is."""

    def __init__(self, nodes: Graph):
        self.nodes = nodes
        self.doubtful: dict[str, None] = {}
        self._shown_beside = dict(_shown_links(nodes))
        self._answers: dict[tuple, Words] = {}
        self._depth = self._characters = 0

    def of_input(self, number: str, name: str, side: str = 'positive') -> Words:
        """Return the words that an input is given."""
        value = self.nodes[number]['inputs'].get(name)
        return self._of_node(str(value[0]), value[1], side) if is_link(value) else typed(value)

    def of_inputs(self, number: str, names: list[str], side: str) -> Words:
        """Return the words of several inputs, each once."""
        return together(*(self.of_input(number, name, side) for name in names))

    def _of_node(self, number: str, output: Any, side: str) -> Words:
        node = self.nodes.get(number)
        if node is None or self._depth > DEEPEST:
            return OPEN
        key = (number, output if isinstance(output, int) else 0, side)
        if key not in self._answers:
            self._answers[key] = NOTHING  # the answer if this node is reached again in a circle
            self._depth += 1
            words = self._asked(number, node, _side_of_output(node, key[1], side))
            if key[:2] in self._shown_beside and (
                words.is_open or words.is_told or any(_TEMPLATE.search(text) for text in words.texts)
            ):
                words = Words((self._shown_beside[key[:2]],))
            self._answers[key] = words
            self._depth -= 1
        return self._answers[key]

    def _asked(self, number: str, node: dict[str, Any], side: str) -> Words:
        kind, inputs = kind_of(node), side_inputs(node['inputs'], side)
        speaks = 'encode' not in kind.lower() and not any(
            is_conditioning(name, inputs) or facts.POSITIVE.search(name) for name in inputs
        )
        if kind in facts.SILENT:
            return NOTHING
        if speaks and facts.NO_PROMPT.search(kind):
            return OPEN
        if facts.MODEL_LOADER.search(kind) and not any(is_link(value) for value in inputs.values()):
            return NOTHING
        if speaks and facts.LANGUAGE_MODEL.search(kind):
            return self._behind_a_language_model(number, inputs)
        if facts.SHOWS.search(kind):
            return self._shown(number, inputs, side)
        if (sides := sides_of(node, self.nodes)) is not None:
            return self._of_switch(number, sides, side)
        return self._of_texts(number, inputs, side)

    def _of_texts(self, number: str, inputs: Inputs, side: str) -> Words:
        """Return a node's own words and those of the conditioning they are added to; without any, those behind its links."""
        if {'cond1', 'cond2', 'negative'} <= self.nodes[number]['inputs'].keys():
            return self._of_two_guides(number, inputs)
        if typed(inputs.get('populated_text')).texts:  # what a wildcard became
            return typed(inputs['populated_text'])
        before = self.of_inputs(number, [name for name in inputs if is_conditioning(name, inputs)], side)
        names = [name for name in inputs if facts.TEXT.fullmatch(name) and not is_conditioning(name, inputs)]
        if (made := worked_on(inputs, lambda name: self.of_input(number, name, side))) is not None:
            return together(before, made)
        parts = self._chosen(number, [self.of_input(number, name, side) for name in in_order(names)])
        texts = self._counted(joined(parts, inputs))
        if before.texts or texts.texts or names:
            return together(before, texts)
        ways = [name for name, value in inputs.items() if is_link(value) and not facts.NO_WAY.fullmatch(name)]
        if ways or facts.ADDS.search(kind_of(self.nodes[number])):
            return together(before, self.of_inputs(number, ways, side))
        return _only_text(inputs)

    def _chosen(self, number: str, parts: list[Words]) -> list[Words]:
        """Return the parts of a text; a part is open if the node chose one of several texts for it when it ran."""
        possible = possible_texts(kind_of(self.nodes[number]), parts)
        if possible is None:
            return parts
        self.doubtful |= dict.fromkeys(text for texts in possible for text in texts if len(texts) > 1)
        opened = any(part.is_open for part in parts)
        return [OPEN if len(texts) > 1 else Words(tuple(texts), opened) for texts in possible]

    def _counted(self, words: Words) -> Words:
        """Return the words, or OPEN once the graph has joined too many characters: it can repeat texts without end."""
        self._characters += sum(map(len, words.texts))
        return words if self._characters <= MOST_CHARACTERS else OPEN

    def _of_two_guides(self, number: str, inputs: Inputs) -> Words:
        """Read a guider with two conditionings.

        The second can be the negative side, or repeat the negative prompt with a reference picture (OmniGen 2, HiDream E1),
        so only texts that are not negative are taken from it.
        """
        first, second = self.of_input(number, 'cond1'), NOTHING
        link = inputs.get('cond2')
        origin = self.nodes.get(str(link[0])) if is_link(link) else None
        if is_link(link) and origin and _side_of_output(origin, link[1], 'positive') == 'positive':
            negative = self.of_input(number, 'negative', 'negative').texts
            second = Words(tuple(text for text in self.of_input(number, 'cond2').texts if text not in negative))
        return together(first, second)

    def _shown(self, number: str, inputs: Inputs, side: str) -> Words:
        """Return what a node passes on; if that is empty, open or went to a language model, the text that it showed."""
        passed = self.of_inputs(number, [name for name, value in inputs.items() if is_link(value)], side)
        if passed.texts and not passed.is_open and not passed.is_told:
            return passed
        shown = together(*(typed(value) for name, value in inputs.items() if facts.SHOWN.fullmatch(name)))
        return shown if shown.texts else passed

    def _of_switch(self, number: str, names: list[str], side: str) -> Words:
        if len(names) == 1:
            return self.of_input(number, names[0], side)
        found = [self.of_input(number, name, side) for name in names]
        if found and all(one == found[0] for one in found):
            return found[0]
        self.doubtful |= dict.fromkeys(text for one in found for text in one.texts)
        return OPEN

    def _behind_a_language_model(self, number: str, inputs: Inputs) -> Words:
        """Return the person's own words for the picture that a language model was given, without its instruction."""
        told = [
            name for name, value in inputs.items() if _INSTRUCTS.match(name) and (is_link(value) or typed(value).texts)
        ]
        names = [name for name in inputs if facts.TEXT.fullmatch(name) and name not in told]
        leaves = [leaf for name in names if is_link(inputs[name]) for leaf in self._leaves(inputs[name], set())]
        if told or 'TextGenerate' in kind_of(self.nodes[number]):  # what is typed here is not the instruction
            leaves += [(text, True) for name in names for text in typed(inputs[name]).texts]
        left = [leaf for leaf in leaves if not _instructs(leaf[0])]
        is_told = bool(told) or len(left) < len(leaves)  # the instruction was found, so the rest is not one
        said = [leaf for leaf in left if not facts.MAYBE_INSTRUCTION.search(leaf[0])] or left * is_told
        chosen = [text for text, alone in said if alone] or [text for text, _ in said]
        return Words(tuple(dict.fromkeys(chosen)), is_open=not chosen, is_told=True)

    def _leaves(self, link: list, met: set[str]) -> list[tuple[str, bool]]:
        """Return the texts typed upstream, and whether each is in a node without links; other nodes put text around theirs."""
        number = str(link[0])
        node = self.nodes.get(number)
        if node is None or number in met or len(met) > DEEPEST:
            return []
        met.add(number)
        inputs, names = node['inputs'], sides_of(node, self.nodes)
        if names is None:
            names = [name for name in inputs if _leads_to_words(name, inputs)]
        links = [inputs[name] for name in names if is_link(inputs.get(name))]
        here = [(text, not links) for name in names for text in typed(inputs.get(name)).texts]
        return here + [leaf for one in links for leaf in self._leaves(one, met)]


def side_inputs(inputs: Inputs, side: str) -> Inputs:
    """Return the inputs of one side: those whose names say it, else those whose names say neither side."""
    is_positive = side == 'positive'
    mine, others = (facts.POSITIVE, facts.NEGATIVE) if is_positive else (facts.NEGATIVE, facts.POSITIVE)
    left = {
        name: value
        for name, value in inputs.items()
        if not others.search(name) or (not is_positive and mine.search(name))
    }
    sided = {name: value for name, value in left.items() if mine.search(name)}
    return sided if any(is_link(value) or isinstance(value, str) for value in sided.values()) else left


def _instructs(text: str) -> bool:
    start = text[:LONGEST_SENTENCE]
    return bool(facts.INSTRUCTION.search(start) or facts.ASKS_ABOUT.search(start))


def _leads_to_words(name: str, inputs: Inputs) -> bool:
    is_way = is_link(inputs[name]) and (name == 'replace' or not facts.NO_WAY.fullmatch(name))
    return is_way or facts.TEXT.fullmatch(name) is not None


def is_conditioning(name: str, inputs: Inputs) -> bool:
    """Whether an input takes a conditioning by link."""
    return is_link(inputs[name]) and facts.CONDITIONING.fullmatch(name) is not None


def _side_of_output(node: dict[str, Any], output: int, side: str) -> str:
    """Return the side that an output passes on: by the node's class or the output's name; else the side asked for."""
    if kind_of(node) in facts.TWO_SIDED:
        return ('positive', 'negative')[output] if output in (0, 1) else side
    names = node.get('outputs', ())
    name = names[output] if isinstance(output, int) and 0 <= output < len(names) else ''
    if facts.NEGATIVE.search(name):
        return 'negative'
    return 'positive' if facts.POSITIVE.search(name) else side


def _shown_links(nodes: Graph) -> Iterator[tuple[tuple[str, int], str]]:
    """Yield each output that is linked to a node that shows texts, with the text that this node showed."""
    for node in nodes.values():
        inputs = node['inputs']
        links = [value for value in inputs.values() if is_link(value)]
        if len(links) == 1 and isinstance(links[0][1], int) and facts.SHOWS.search(kind_of(node)):
            texts = [
                text for name, value in inputs.items() if facts.SHOWN.fullmatch(name) for text in typed(value).texts
            ]
            if len(texts) == 1:
                yield (str(links[0][0]), links[0][1]), texts[0]


def _only_text(inputs: Inputs) -> Words:
    """Return the one sentence that was typed into a node without links, regardless of its input's name."""
    if any(is_link(value) for value in inputs.values()):
        return NOTHING
    said = [typed(value) for name, value in inputs.items() if not _INSTRUCTS.search(name)]
    said = [one for one in said if one.texts and len(one.texts[0].split()) > 2 and not _CODE.search(one.texts[0])]
    said_nothing = all(isinstance(value, str) and not typed(value).texts for value in inputs.values())
    return said[0] if len(said) == 1 else Words(is_open=bool(said) or not said_nothing)
