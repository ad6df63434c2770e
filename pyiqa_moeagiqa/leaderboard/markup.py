"""Tables in Markdown and LaTeX; untrusted text in them is escaped, so that nothing in it acts as markup."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from ..console import plain
from ..whole_file import whole_file
from .table import Board, across, missing, published, rounded, shown

_LATEX = {
    '\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}', '<': r'\textless{}',
    '>': r'\textgreater{}', '|': r'\textbar{}',
    **{character: f'\\{character}' for character in '&%$#_{}'},
}  # fmt: skip


def write_markup(folder: Path, board: Board, with_published: bool) -> None:
    """Write the tables as ``leaderboard.md`` and ``leaderboard.tex``; characters that are not valid Unicode become escapes."""
    for ending, text in (
        ('md', _markdown_tables(board, with_published)),
        ('tex', _latex_tables(board, with_published)),
    ):
        with whole_file(folder / f'leaderboard.{ending}') as part:
            part.write_text(text, encoding='utf-8', errors='backslashreplace')


def _markdown_tables(board: Board, with_published: bool) -> str:
    """The tables in Markdown, for a README or an appendix."""
    parts = [
        '\n'.join([f'### {escape_markdown(f"{data}, {target}")}', '', markdown(shown(rows)), *_missing(rows)])
        for (data, target), rows in board.rows.groupby(['data', 'target'], sort=False)
    ]
    for title, table in _others(board, with_published):
        parts.append(f'### {title}\n\n{markdown(table)}')
    return '\n\n'.join(parts) + '\n'


def _missing(rows: pd.DataFrame) -> list[str]:
    without = [f'- {escape_markdown(f"{metric}: {reason}")}' for metric, reason in missing(rows)]
    return ['', 'Without figures:', '', *without] if without else []


def _others(board: Board, with_published: bool) -> list[tuple[str, pd.DataFrame]]:
    tables = [('SRCC across data sets', rounded(across(board.rows)))]
    if with_published:
        tables.append(('Published, by other protocols', rounded(published(board.rows))))
    return [(title, table) for title, table in tables if not table.empty]


def markdown(table: pd.DataFrame) -> str:
    """A table of text in Markdown."""
    given: list[Iterable[Any]] = [table.columns, *table.itertuples(index=False)]
    head, *rows = [list(map(escape_markdown, line)) for line in given]
    lines = [head, ['---'] * len(table.columns), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def _latex_tables(board: Board, with_published: bool) -> str:
    """Tables for a paper; they need ``\\usepackage{booktabs}``."""
    tables = [
        (f'{data}, {target}', shown(rows))
        for (data, target), rows in board.rows.groupby(['data', 'target'], sort=False)
    ]
    return '\n'.join(latex(title, table) for title, table in [*tables, *_others(board, with_published)])


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
