"""Writes the files of the leaderboard and of a comparison."""

from pathlib import Path

import pandas as pd

from ..spreadsheet import spreadsheet_safe
from ..whole_file import whole_file


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV; texts and column names are marked where a spreadsheet would take them for formulas."""
    table = table.rename(columns=spreadsheet_safe).map(_safe)
    with whole_file(path) as part:
        table.to_csv(part, index=False, encoding='utf-8', errors='backslashreplace')


def _safe(cell: object) -> object:
    return spreadsheet_safe(cell) if isinstance(cell, str) else cell


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8; characters that are not valid Unicode become escapes."""
    with whole_file(path) as part:
        part.write_text(text, encoding='utf-8', errors='backslashreplace')
