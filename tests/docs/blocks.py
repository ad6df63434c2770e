"""What a reader would type: the fenced blocks and the commands within sentences of a Markdown file."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

PROMPT = '$ '


class Block(NamedTuple):
    """A fenced block: its language, its lines, and the line of the file where they begin."""

    language: str
    text: str
    line: int


class Command(NamedTuple):
    """A line after ``$``, as words, and the output that is shown under it."""

    words: list[str]
    shown: str
    line: int


def blocks(file: Path) -> Iterator[Block]:
    """The fenced blocks of a file, in their order."""
    for token in MarkdownIt().parse(file.read_text(encoding='utf-8')):
        if token.type == 'fence':
            yield Block(token.info.strip(), token.content, token.map[0] + 2)


def commands(block: Block) -> Iterator[Command]:
    """The commands of a ``console`` block; ``&&`` joins two, a backslash carries one on to the next line."""
    text = block.text.replace('\\\n', ' ')
    line = block.line
    for part in ('\n' + text).split('\n' + PROMPT)[1:]:
        typed, _, shown = part.partition('\n')
        *first, last = _split(shlex.split(typed, comments=True))
        for words in first:
            yield Command(words, '', line)
        yield Command(last, shown.strip('\n'), line)
        line += part.count('\n') + 1


def _split(words: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == '&&':
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def inline_commands(file: Path, program: str) -> Iterator[list[str]]:
    """Commands of a program that stand within sentences, as words."""
    for token in MarkdownIt().parse(file.read_text(encoding='utf-8')):
        for child in token.children or []:
            if child.type == 'code_inline' and child.content.split()[:1] == [program]:
                yield shlex.split(child.content)
