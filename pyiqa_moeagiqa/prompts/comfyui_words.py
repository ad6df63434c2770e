"""From an input of a node of ComfyUI backwards to the words that reach it.

Every node answers once for each side (positive or negative) and output that it is asked for, so circles end and links that
multiply do not. What cannot be followed (a language model's answer, a switch that a formula turns) leaves the answer open.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from . import comfyui_nodes as facts
from .clean import LONGEST_PROMPT

Graph = dict[str, dict[str, Any]]
Inputs = dict[str, Any]

DEEPEST = 120  # nodes one behind the other
LONGEST_SENTENCE = 400  # characters: where an instruction says what it is
_CODE = re.compile(r'://|^\s*[{\[]|;\s*\n')
_INSTRUCTS = re.compile(r'system|instruct|role|template', re.IGNORECASE)
_SCALAR = re.compile(r'-?\d{1,9}|true|false|on|off', re.IGNORECASE)
_TEMPLATE = re.compile(r'\{[^{}]*\|[^{}]*\}|__[\w/*-]+__|\|\|\w+\|\||%\w+%')  # dynamic prompts, before chance has chosen
_NO_WORDS = re.compile(
    r'(?:true|false|yes|no|none|null|undefined|unknown|enabled?|disabled?|Select the .*)?|[\d\s.,:;|+*/-]*|\S+\.(?:safetensors|ckpt|pth?|bin|gguf|sft|png|jpe?g|webp|gif|mp4|json|txt|ya?ml)',
    re.IGNORECASE,
)


class Words(NamedTuple):
    """Texts in the order in which they are joined. Open: something that could not be followed has its say as well."""

    texts: tuple[str, ...] = ()
    is_open: bool = False


NOTHING, OPEN = Words(), Words(is_open=True)


def is_link(value: Any) -> bool:
    """Whether an input's value is a link [node, output]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int)


def typed(value: Any) -> Words:
    """A text that was typed, where it can be words: no number, option or name of a file."""
    text = value.strip() if isinstance(value, str) else ''
    return NOTHING if _NO_WORDS.fullmatch(text) or len(text) > LONGEST_PROMPT else Words((text,))


def together(parts: list[Words]) -> Words:
    """All texts, each once."""
    return Words(tuple(dict.fromkeys(text for part in parts for text in part.texts)), any(part.is_open for part in parts))


class Reader:
    """Looks for words in one graph. ``doubtful`` collects texts that may be the prompt where nothing tells."""

    def __init__(self, nodes: Graph):
        self.nodes, self.doubtful = nodes, {}
        self._shown_beside = dict(_shown_links(nodes))
        self._answers: dict[tuple, Words] = {}
        self._depth = 0

    def of_input(self, number: str, name: str, side: str = 'positive') -> Words:
        """The words that an input is given."""
        value = self.nodes[number]['inputs'].get(name)
        return self._of_node(str(value[0]), value[1], side) if is_link(value) else typed(value)

    def of_inputs(self, number: str, names: list[str], side: str) -> Words:
        """The words of several inputs, each once."""
        return together([self.of_input(number, name, side) for name in names])

    def _of_node(self, number: str, output: Any, side: str) -> Words:
        node = self.nodes.get(number)
        if node is None or self._depth > DEEPEST:
            return OPEN
        key = (number, output if isinstance(output, int) else 0, side)
        if key not in self._answers:
            self._answers[key] = NOTHING  # for who asks again from behind: a circle
            self._depth += 1
            words = self._asked(number, node, _side_of_output(node, key[1], side))
            if key[:2] in self._shown_beside and (words == OPEN or any(_TEMPLATE.search(text) for text in words.texts)):
                words = Words((self._shown_beside[key[:2]],))
            self._answers[key] = words
            self._depth -= 1
        return self._answers[key]

    def _asked(self, number: str, node: dict[str, Any], side: str) -> Words:
        kind, inputs = _kind(node), side_inputs(node['inputs'], side)
        speaks = 'encode' not in kind.lower() and not any(is_conditioning(name, inputs) or facts.POSITIVE.search(name) for name in inputs)
        if kind in facts.SILENT:
            return NOTHING
        if speaks and facts.NO_PROMPT.search(kind):
            return OPEN
        if speaks and facts.LANGUAGE_MODEL.search(kind):
            return self._behind_a_language_model(number, inputs)
        if facts.SHOWS.search(kind):
            return self._shown(number, inputs, side)
        if (sides := self._switch(node)) is not None:
            return self._of_switch(number, sides, side)
        return self._of_texts(number, inputs, side)

    def _of_texts(self, number: str, inputs: Inputs, side: str) -> Words:
        """The words of a node that has some, and of the conditioning it adds them to; else of whatever leads to it."""
        if {'cond1', 'cond2', 'negative'} <= self.nodes[number]['inputs'].keys():
            return self._of_two_guides(number, inputs)
        if typed(inputs.get('populated_text')).texts:  # what a wildcard became
            return typed(inputs['populated_text'])
        before = self.of_inputs(number, [name for name in inputs if is_conditioning(name, inputs)], side)
        names = [name for name in inputs if facts.TEXT.fullmatch(name) and not is_conditioning(name, inputs)]
        parts = [self.of_input(number, name, side) for name in names]
        texts = _operated(inputs, self, number, side) or _joined(parts, inputs)
        if before.texts or texts.texts or names:
            return together([before, texts])
        ways = [name for name, value in inputs.items() if is_link(value) and not facts.NO_WAY.fullmatch(name)]
        return together([before, self.of_inputs(number, ways, side)]) if ways else _only_text(inputs)

    def _of_two_guides(self, number: str, inputs: Inputs) -> Words:
        """The second of two guides may be the negative, or repeat it with a reference picture (OmniGen 2, HiDream E1)."""
        first, second = self.of_input(number, 'cond1'), NOTHING
        if is_link(link := inputs.get('cond2')) and _side_of_output(self.nodes.get(str(link[0]), {}), link[1], 'positive') == 'positive':
            negative = self.of_input(number, 'negative', 'negative').texts
            texts = tuple(text for text in self.of_input(number, 'cond2').texts if text not in negative)
            second = Words(texts)
        return together([first, second])

    def _shown(self, number: str, inputs: Inputs, side: str) -> Words:
        """What a node passes on, or, where that is open, what it showed."""
        passed = self.of_inputs(number, [name for name, value in inputs.items() if is_link(value)], side)
        if passed.texts and not passed.is_open:
            return passed
        shown = [typed(value) for name, value in inputs.items() if not is_link(value) and facts.SHOWN.fullmatch(name)]
        return Words(together(shown).texts) if any(shown) and together(shown).texts else passed

    def _switch(self, node: dict[str, Any]) -> list[str] | None:
        """The inputs that a switch may hand on (one, where it is known which); None where the node is no switch."""
        inputs, kind = node['inputs'], _kind(node)
        present = sorted((name for name in inputs if facts.FIRST.fullmatch(name) and self._is_there(inputs[name])), key=_number)
        if present:
            return present[-1:] if 'Merge' in kind else present[:1]
        on, off = ([name for name in inputs if way.fullmatch(name)] for way in (facts.ON, facts.OFF))
        if on or off:
            value = next((self._scalar(inputs[name]) for name in inputs if name not in on + off and name.lower() in _SELECTORS), None)
            return on + off if value is None else (on if value else off)
        selector = next((name for name in facts.SELECTORS if _is_selector(inputs, name)), None)
        numbered = [name for name in inputs if facts.NUMBERED.fullmatch(name) and name != selector]
        if selector is not None and len(numbered) > 0 and (facts.SWITCH.search(kind) or selector in ('select', 'index')):
            value = self._scalar(inputs[selector])
            return numbered if value is None else [name for name in numbered if _number(name) == value]
        lettered = [name for name in inputs if name.endswith(('_a', '_b'))]
        if selector is not None and facts.SWITCH.search(kind) and len(lettered) == 2:  # WAS: true hands on the first
            value = self._scalar(inputs[selector])
            return lettered if value is None else [lettered[0 if value else 1]]
        return None

    def _of_switch(self, number: str, names: list[str], side: str) -> Words:
        if len(names) == 1:
            return self.of_input(number, names[0], side)
        found = [self.of_input(number, name, side) for name in names]
        if found and all(one == found[0] for one in found):
            return found[0]
        self.doubtful |= dict.fromkeys(text for one in found for text in one.texts)
        return OPEN

    def _is_there(self, value: Any) -> bool:
        return is_link(value) and str(value[0]) in self.nodes

    def _scalar(self, value: Any, depth: int = 20) -> int | None:
        """A number or truth value, followed to where it was typed; None where it is worked out."""
        while is_link(value):
            node = self.nodes.get(str(value[0]), {'inputs': {}})
            values = list(node['inputs'].values())
            literals = [one for one in values if isinstance(one, int) or isinstance(one, str) and _SCALAR.fullmatch(one)]
            links = [one for one in values if is_link(one)]
            ways = literals if not links else links
            if len(ways) != 1 or depth == 0 or 'expression' in node['inputs']:
                return None
            value, depth = ways[0], depth - 1
        words = {'true': 1, 'on': 1, 'false': 0, 'off': 0}
        if isinstance(value, str):
            known = _SCALAR.fullmatch(value)
            return known and (words[value.lower()] if value.lower() in words else int(value))
        return int(value) if isinstance(value, bool | int) else None

    def _behind_a_language_model(self, number: str, inputs: Inputs) -> Words:
        """A person's own words for the picture, where a language model was given them; its instruction is none."""
        told = [name for name, value in inputs.items() if _INSTRUCTS.match(name) and (is_link(value) or typed(value).texts)]
        names = [name for name in inputs if facts.TEXT.fullmatch(name) and name not in told]
        leaves = [leaf for name in names if is_link(inputs[name]) for leaf in self._leaves(inputs[name], set())]
        if told or 'TextGenerate' in _kind(self.nodes[number]):  # what is typed here is not the instruction
            leaves += [(text, True) for name in names for text in typed(inputs[name]).texts]
        left = [(text, alone) for text, alone in leaves if not facts.INSTRUCTION.search(text[:LONGEST_SENTENCE])]
        is_told = bool(told) or len(left) < len(leaves)  # the instruction was found: the rest is none
        said = [leaf for leaf in left if not facts.MAYBE_INSTRUCTION.search(leaf[0])] or left * is_told
        chosen = [text for text, alone in said if alone] or [text for text, _ in said]
        return Words(tuple(dict.fromkeys(chosen)), is_open=not chosen)

    def _leaves(self, link: list, met: set[str]) -> list[tuple[str, bool]]:
        """Texts typed upstream, and whether each has a node for itself (the others are what is put around it)."""
        number = str(link[0])
        node = self.nodes.get(number)
        if node is None or number in met or len(met) > DEEPEST:
            return []
        met.add(number)
        inputs, switched = node['inputs'], self._switch(node)
        names = switched if switched is not None else [name for name in inputs if facts.TEXT.fullmatch(name) or is_link(inputs[name]) and not facts.NO_WAY.fullmatch(name) or name == 'replace']
        links = [inputs[name] for name in names if is_link(inputs.get(name))]
        here = [(text, not links) for name in names for text in typed(inputs.get(name)).texts]
        return here + [leaf for one in links for leaf in self._leaves(one, met)]


def side_inputs(inputs: Inputs, side: str) -> Inputs:
    """The inputs of one side: those that name it where some do, and else those that name neither."""
    named = {'positive': facts.POSITIVE, 'negative': facts.NEGATIVE}
    mine = named[side]
    others = named['negative' if side == 'positive' else 'positive']
    left = {name: value for name, value in inputs.items() if not others.search(name) or mine.search(name) and others is facts.POSITIVE}
    sided = {name: value for name, value in left.items() if mine.search(name)}
    return sided if any(is_link(value) or isinstance(value, str) for value in sided.values()) else left


def is_conditioning(name: str, inputs: Inputs) -> bool:
    """Whether an input takes a conditioning by link."""
    return is_link(inputs[name]) and facts.CONDITIONING.fullmatch(name) is not None


_SELECTORS = {name.lower() for name in facts.SELECTORS}


def _kind(node: dict[str, Any]) -> str:
    kind = node.get('class_type')
    return kind if isinstance(kind, str) else ''


def _side_of_output(node: dict[str, Any], output: int, side: str) -> str:
    """The side that an output hands on: its name says it, or its class; else the side that was asked for."""
    if _kind(node) in facts.TWO_SIDED:
        return ('positive', 'negative')[output] if output in (0, 1) else side
    names = node.get('outputs', ())
    name = names[output] if 0 <= output < len(names) else ''
    if facts.NEGATIVE.search(name):
        return 'negative'
    return 'positive' if facts.POSITIVE.search(name) else side


def _is_selector(inputs: Inputs, name: str) -> bool:
    value = inputs.get(name)
    return is_link(value) or isinstance(value, int) or isinstance(value, str) and _SCALAR.fullmatch(value) is not None


def _number(name: str) -> int:
    return int(facts.NUMBERED.fullmatch(name)[2][:9])


def _shown_links(nodes: Graph) -> Iterator[tuple[tuple[str, int], str]]:
    """Outputs that a node beside shows, with the text that it showed."""
    for node in nodes.values():
        inputs = node['inputs']
        links = [value for value in inputs.values() if is_link(value)]
        if len(links) == 1 and isinstance(links[0][1], int) and facts.SHOWS.search(_kind(node)):
            texts = [text for name, value in inputs.items() if facts.SHOWN.fullmatch(name) for text in typed(value).texts]
            if len(texts) == 1:
                yield (str(links[0][0]), links[0][1]), texts[0]


def _joined(parts: list[Words], inputs: Inputs) -> Words:
    between = next((inputs[name] for name in ('delimiter', 'separator', 'delim') if name in inputs), ', ')
    found = together(parts)
    if len(found.texts) < 2 or sum(map(len, found.texts)) > LONGEST_PROMPT:
        return found._replace(texts=found.texts[:1])
    return found._replace(texts=((between if isinstance(between, str) else ', ').join(found.texts),))


def _only_text(inputs: Inputs) -> Words:
    """The one sentence that was typed into a node without links, whatever its input is called."""
    if any(is_link(value) for value in inputs.values()):
        return NOTHING
    said = [typed(value) for name, value in inputs.items() if not _INSTRUCTS.search(name)]
    said = [one for one in said if one.texts and len(one.texts[0].split()) > 2 and not _CODE.search(one.texts[0])]
    return said[0] if len(said) == 1 else Words(is_open=not said and bool(inputs) or len(said) > 1)


def _operated(inputs: Inputs, reader: Reader, number: str, side: str) -> Words | None:
    """What is left of a text when one part was replaced, or a template filled; None for other nodes (nodes_string.py)."""
    if isinstance(inputs.get('strings'), str) and isinstance(inputs.get('select'), int):  # Impact Pack's selector
        lines = inputs['strings'].split('\n')
        return typed(lines[inputs['select'] % len(lines)])
    if isinstance(inputs.get('f_string'), str):
        return _filled(inputs, reader, number, side)
    name = next((name for name in ('string', 'text') if name in inputs), None)
    find, replace = inputs.get('find'), inputs.get('replace')
    if inputs.get('action') == 'replace' and isinstance(inputs.get('text_b'), str):  # pysssss' StringFunction
        name, find, replace = 'text_a', inputs['text_b'] or '\0', inputs.get('text_c', '')
    if name is None or not isinstance(find, str) or not find or replace is None:
        return None
    by = NOTHING if isinstance(replace, str) else reader.of_input(number, 'replace', side)
    with_ = replace if isinstance(replace, str) else ', '.join(by.texts)
    found = reader.of_input(number, name, side)
    return together([typed(text.replace(find, with_)[:LONGEST_PROMPT]) for text in found.texts] + [Words((), found.is_open or by.is_open)])


def _filled(inputs: Inputs, reader: Reader, number: str, side: str) -> Words:
    """A template of Python with its values; open where one of them is."""
    values = {}
    for name in [name for name in inputs if name.startswith('values.')]:
        given = reader.of_input(number, name, side)
        if is_link(inputs[name]) and not given.texts:
            return OPEN
        values[name[7:]] = given.texts[0] if given.texts else str(inputs[name])
    kept = {'{{': '{', '}}': '}'}
    return typed(_PLACE.sub(lambda place: kept.get(place[0]) or values.get(place[1], ''), inputs['f_string'])[: LONGEST_PROMPT + 1])


_PLACE = re.compile(r'\{\{|\}\}|\{(\w*)[^{}]{0,20}\}')
