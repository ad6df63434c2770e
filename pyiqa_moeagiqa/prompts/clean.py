"""Reduce a prompt as typed for an image generator to the words that describe the picture.

These are removed: names of networks and other commands in angle brackets (``<lora:film:0.8>``), weights (``(word:1.2)``,
``((word))`` and ``[word]`` become ``word``), and line ends. The operators BREAK and AND become commas. A prompt that changes
while an image is made (``[cat:dog:0.5]``, ``[cat|dog]``) keeps all its words. Brackets after a backslash stay brackets.

Parts that only the generator uses are removed, too: names of embeddings, comments, SwarmUI's tags (``<wildcard:cats>``, and
all text after ``<video>``), and the instruction before the prompt of a Lumina 2 model.
"""

import re

LONGEST_PROMPT = 20_000  # characters; a longer text is no prompt, and no pattern below is tried on it

# No pattern begins with a repetition, and digits are bounded, so that every pattern is fast on any text.
_NUMBER = r'-?(?:\d{1,4}(?:\.\d{0,6})?|\.\d{1,6})'
_COMMAND = re.compile(r'<(?:\w{1,40}|//)(?:\[[^\[\]<>]*\])?:[^<>]*>')
# SwarmUI: these commands leave words; variables and macros can be used later in the text ('Advanced Prompt Syntax' in its docs)
_KEPT_COMMAND = re.compile(r'<(?:alternate|alt|fromto|repeat)(?:\[[^\[\]<>]*\])?:([^<>]*)>')
_SET = re.compile(r'<set(?:var|macro)\[([^\[\]<>,]*)(,\s?false)?[^\[\]<>]*\]:([^<>]*)>')
_CALL = re.compile(r'<(?:var|macro)(?::([^<>]*)|\[([^\[\]<>]*)\])>')
_BREAK = re.compile(r'<break>')
_OTHER_PART = re.compile(r'<(?:video|videoswap|refiner)(?:\[[^\[\]<>]*\])?>.*?(?:<base>|\Z)', re.DOTALL)
_TAG = re.compile(r'<(?:base|trigger|video|lorablock|clear)>')
_EMBEDDING = re.compile(rf'\bembedding:[^\s,()\[\]:<>]+(?:\s?:{_NUMBER})?')
_COMMENT = re.compile(r'^[ \t]*(?:#(?!\w)|//)[^\n]*$', re.MULTILINE)
_LUMINA = re.compile(r'\A.*<Prompt Start>|\A(?:\s*You are an? (?:\w+ ){0,3}assistant\b[^.\n]*\.)+', re.DOTALL)
_FACE = re.compile(r'(?<![^\s,])>?[:;=]-?[()](?=[\s,]|\Z)')
_WEIGHT = re.compile(rf':\s?{_NUMBER}\s?(?=[)\]])')
_OPERATOR_WEIGHT = re.compile(rf'\s:{_NUMBER}\s{{0,3}}(?=AND\b|$)')
_OPERATOR = re.compile(r'\b(?:BREAK|AND)\b')
_INNERMOST = re.compile(r'\[([^\[\]]*)\]')
_ESCAPED = {r'\(': '\ue000', r'\)': '\ue001', r'\[': '\ue002', r'\]': '\ue003'}
_NOVELAI_NEGATIVE = re.compile(r'(?<![\d.])-(?:\d{1,4}(?:\.\d{0,6})?|\.\d{1,6})::(?:[^:]|:(?!:))*(?:::|\Z)')
_NOVELAI_WEIGHT = re.compile(rf'(?:{_NUMBER})?::')
_INVOKEAI_WEIGHT = re.compile(rf'(?<=\)){_NUMBER}|(?<=[\w)])[+-]{{1,9}}(?=[\s,)]|$)')
_INVOKEAI_NEGATIVE = re.compile(r'\[[^\[\]]*\]')
_MIDJOURNEY_WEIGHT = re.compile(rf'::(?:{_NUMBER})?')
_MIDJOURNEY_END = re.compile(r'\s(?:--|—|–)[a-z]|Job ID:')
_LINK = re.compile(r'https?://\S+')


def positive_part(text: str) -> str:
    """Cut the negative prompt and settings from AUTOMATIC1111's text; return any other text as it is."""
    lines = text.splitlines()
    ends = (n for n, line in enumerate(lines) if line.startswith(('Negative prompt:', 'Steps: ')))
    end = next(ends, None)
    return text if end is None else '\n'.join(lines[:end])


def without_blocks(text: str) -> str:
    """Remove comments between ``/*`` and ``*/``; a pattern would take quadratic time, as it searches anew for every end."""
    kept, here = [], 0
    while (start := text.find('/*', here)) >= 0 and (end := text.find('*/', start + 2)) >= 0:
        kept.append(text[here:start])
        here = end + 2
    return ''.join((*kept, text[here:]))


def stable_diffusion(text: str) -> str:
    """Reduce a prompt for AUTOMATIC1111, ComfyUI and other software with their notation to plain words."""
    text = _without_left_ins(text)
    text = _OPERATOR.sub(',', _OPERATOR_WEIGHT.sub(' ', text))
    for escaped, kept in _ESCAPED.items():
        text = text.replace(escaped, kept)
    text = _FACE.sub(_kept_face, text)
    text = _WEIGHT.sub('', text)
    for _ in range(5):  # brackets in brackets
        text = _INNERMOST.sub(lambda found: re.sub('[|:]+', ', ', found[1].strip('|:')), text)
    text = re.sub(r'[()\[\]]', '', text)
    for escaped, kept in _ESCAPED.items():
        text = text.replace(kept, escaped[1])
    return spaced(text)


def _without_left_ins(text: str) -> str:
    """Remove the parts that only the image generator uses."""
    text = _LUMINA.sub('', _COMMENT.sub('', without_blocks(text)))
    for _ in range(3):  # tags in tags
        text = _COMMAND.sub(' ', _KEPT_COMMAND.sub(r'\1', _with_variables(text)))
    text = _TAG.sub(' ', _OTHER_PART.sub(' ', _BREAK.sub(',', text)))
    return _EMBEDDING.sub('', text)


def _with_variables(text: str) -> str:
    """Put each variable's value where the variable is used, and where it is set, unless it is set with ``false``."""
    values = {found[1].strip(): found[3] for found in _SET.finditer(text)}
    text = _SET.sub(lambda found: ' ' if found[2] else found[3], text)
    if not values:
        return text
    return _CALL.sub(lambda found: values.get((found[1] or found[2] or '').strip(), ' '), text)[:LONGEST_PROMPT]


def _kept_face(found: re.Match[str]) -> str:
    """Keep a smiley's bracket as text, unless it closes a bracket within the thousand characters before it."""
    before = _FACE.sub('', found.string[max(0, found.start() - 1000) : found.start()])
    if found[0].endswith(')') and before.count('(') > before.count(')'):
        return found[0]
    return found[0].replace(')', _ESCAPED[r'\)']).replace('(', _ESCAPED[r'\('])


def novelai(text: str) -> str:
    """Reduce a prompt for NovelAI to plain words.

    Braces, brackets and ``1.3::word::`` are weights; words with a weight below zero are not wanted, and removed.
    """
    return spaced(re.sub(r'[{}\[\]]', '', _NOVELAI_WEIGHT.sub(' ', _NOVELAI_NEGATIVE.sub(' ', text))))


def invokeai(text: str) -> str:
    """Reduce a prompt for InvokeAI, with weights such as ``word++`` and ``(some words)1.2``, to plain words."""
    return stable_diffusion(_INVOKEAI_WEIGHT.sub('', text))


def old_invokeai(text: str) -> str:
    """Reduce a prompt for InvokeAI 2 to plain words, without the negative prompt, which is in square brackets."""
    return invokeai(_INVOKEAI_NEGATIVE.sub(' ', text))


def midjourney(text: str) -> str:
    """Reduce a prompt for Midjourney to plain words, without parameters (``--ar 2:1 --no dogs``), image links and weights."""
    end = _MIDJOURNEY_END.search(f' {text}')
    return spaced(_MIDJOURNEY_WEIGHT.sub(' ', _LINK.sub(' ', f' {text}'[: end and end.start()])))


def spaced(text: str) -> str:
    """Put one space between words and none before a comma; replace null and invalid characters; strip commas."""
    text = text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace').replace('\0', ' ')
    words = ' '.join(text.split())
    return re.sub(r' ?,(?: ?,)*', ',', words).strip(' ,')
