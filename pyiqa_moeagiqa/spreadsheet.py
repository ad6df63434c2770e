"""Protects untrusted text in CSV files: a spreadsheet would compute a cell that begins like a formula."""

from pathlib import Path
from typing import TYPE_CHECKING

from .whole_file import whole_file

if TYPE_CHECKING:
    import pandas as pd

FORMULA_STARTS = ('=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠')


def spreadsheet_safe(text: str) -> str:
    """Make a text safe for a CSV cell: if it begins like a formula, it gets an apostrophe in front.

    Use it for columns of text only: a number such as -0.5 begins like a formula but is none. ``as_meant`` undoes it.

    Example:
        >>> spreadsheet_safe('=1+1'), spreadsheet_safe('a cat')
        ("'=1+1", 'a cat')
    """
    return f"'{text}" if _begins_like_a_formula(text) else text


def as_meant(cell: str) -> str:
    """Undo ``spreadsheet_safe``."""
    return cell[1:] if cell.startswith("'") and _begins_like_a_formula(cell) else cell


def _begins_like_a_formula(text: str) -> bool:
    """Whether a text begins like a formula, ignoring leading apostrophes: else "=1" and "'=1" would both become "'=1"."""
    return text.lstrip("'").startswith(FORMULA_STARTS)


def write_csv(path: Path, table: 'pd.DataFrame') -> None:
    """Write a table as ``as_csv`` does; an older file stays whole until the new one is complete."""
    with whole_file(path) as part:
        part.write_text(as_csv(table), encoding='utf-8')


def as_csv(table: 'pd.DataFrame') -> str:
    """A table as CSV; texts and column names are marked where a spreadsheet would take them for formulas.

    Characters that are not valid Unicode become escapes.
    """
    text = table.rename(columns=spreadsheet_safe).map(_safe).to_csv(index=False)
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')


def _safe(cell: object) -> object:
    return spreadsheet_safe(cell) if isinstance(cell, str) else cell
