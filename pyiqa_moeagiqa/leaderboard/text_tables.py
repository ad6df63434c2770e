"""The leaderboard's tables in Markdown and LaTeX."""

from pathlib import Path

import pandas as pd

from ..markup import escape_markdown, latex, markdown
from ..whole_file import whole_file
from .table import Board, across, missing, published, rounded, shown


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


def _latex_tables(board: Board, with_published: bool) -> str:
    """Tables for a paper; they need ``\\usepackage{booktabs}``."""
    tables = [
        (f'{data}, {target}', shown(rows))
        for (data, target), rows in board.rows.groupby(['data', 'target'], sort=False)
    ]
    return '\n'.join(latex(title, table) for title, table in [*tables, *_others(board, with_published)])
