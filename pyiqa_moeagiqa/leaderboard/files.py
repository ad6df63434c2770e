"""The files that the leaderboard and a comparison leave."""

from pathlib import Path

import pandas as pd

from ..spreadsheet import spreadsheet_safe
from ..whole_file import whole_file


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table whose texts, names of columns among them, no spreadsheet takes for formulas."""
    table = table.rename(columns=spreadsheet_safe).map(_safe)
    with whole_file(path) as part:
        table.to_csv(part, index=False, encoding='utf-8', errors='backslashreplace')


def _safe(cell: object) -> object:
    return spreadsheet_safe(cell) if isinstance(cell, str) else cell


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8; what is no valid Unicode is written as an escape."""
    with whole_file(path) as part:
        part.write_text(text, encoding='utf-8', errors='backslashreplace')
