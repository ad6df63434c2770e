"""Tables in Markdown and LaTeX; untrusted text in them is escaped, so that nothing in it acts as markup."""

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from .console import plain

_LATEX = {
    '\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}', '<': r'\textless{}',
    '>': r'\textgreater{}', '|': r'\textbar{}',
    **{character: f'\\{character}' for character in '&%$#_{}'},
}  # fmt: skip


def markdown(table: pd.DataFrame) -> str:
    """A table of text in Markdown."""
    given: list[Iterable[Any]] = [table.columns, *table.itertuples(index=False)]
    head, *rows = [list(map(escape_markdown, line)) for line in given]
    lines = [head, ['---'] * len(table.columns), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def latex(title: str, table: pd.DataFrame) -> str:
    r"""A table of text in LaTeX; it needs ``\usepackage{booktabs}``."""
    table = table.map(escape_latex).rename(columns=escape_latex)
    return table.to_latex(index=False, escape=False, caption=escape_latex(title))


def escape_latex(text: str) -> str:
    r"""Escape a text for LaTeX, in one line.

    Example:
        >>> escape_latex('50 % of a_b')
        '50 \\% of a\\_b'
    """
    return ''.join(_LATEX.get(character, character) for character in plain(text))


def escape_markdown(text: str) -> str:
    r"""Escape a text for Markdown, in one line that is also safe in a table.

    Example:
        >>> escape_markdown('a | b')
        'a \\| b'
    """
    return re.sub(r'([\\`*_\[\]<>|&~$#])', r'\\\1', plain(text))
