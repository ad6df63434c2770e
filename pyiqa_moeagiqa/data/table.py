"""Tables from users: CSV, JSON lines or Parquet, read without guessing and checked row by row."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

SHOWN_ROWS = 20


class TableError(ValueError):
    """A table that cannot be used; the message names the file, the column or rows, and the remedy."""


class Check(NamedTuple):
    """What must be true of every row: ``good`` says where it is, ``problem`` what is wrong elsewhere in ``column``."""

    good: Iterable[bool]
    problem: str
    column: str


def read_table(path: Path | str, columns: Sequence[str]) -> pd.DataFrame:
    """Read a ``.csv``, ``.jsonl`` or ``.parquet`` file that has at least ``columns``.

    The words 'None', 'NA' and the like stay words: an empty cell is an empty string, and nothing else is missing.

    Raises:
        TableError: for a file that is missing, of an unknown kind or encoding, empty, or without a column.
    """
    path = Path(path)
    if not path.is_file():
        raise TableError(f'{path}: there is no such file.')
    if path.suffix.lower() not in _READERS:
        known = ', '.join(_READERS)
        raise TableError(f'{path}: tables are read from {known}, not from {path.suffix or "such a file"!r}.')
    try:
        table = _READERS[path.suffix.lower()](path)
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b'\n') + 1
        raise TableError(f'{path}: row {row} is not UTF-8 text; save the file as UTF-8.') from None
    except (ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TableError(f'{path}: it cannot be read as {path.suffix[1:].upper()} ({reason}).') from None
    require_columns(path, table, columns)
    return table


def require_columns(path: Path | str, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise a TableError for a table without rows, without one of ``columns``, or with two columns of one name."""
    there = list(table.columns)
    missing = [column for column in columns if column not in there]
    if missing and there:
        raise TableError(f'{path}: column {missing[0]!r} is missing; there are {", ".join(map(repr, there))}.')
    if table.empty:
        raise TableError(f'{path}: it has no rows.')
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise TableError(f'{path}: column {twice[0]!r} stands there twice; rename one.')


def _read_csv(path: Path) -> pd.DataFrame:
    rows = _csv_rows(path)
    if not rows:
        return pd.DataFrame()
    _, header = rows[0]
    for number, cells in rows[1:]:
        if len(cells) != len(header):
            raise ValueError(f'row {number} has {len(cells)} cells, the header has {len(header)}')
    return pd.DataFrame([cells for _, cells in rows[1:]], columns=header, dtype=str)


def _csv_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The line on which each row begins, and its cells; blank lines are passed over."""
    text = path.read_bytes().decode('utf-8-sig')
    reader = csv.reader(io.StringIO(text, newline=''), strict=True)
    rows, begins = [], 1
    try:
        for cells in reader:
            if len(cells) > 1 or ''.join(cells).strip():
                rows.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f'row {begins}: {error}') from None
    return rows


def _read_jsonl(path: Path) -> pd.DataFrame:
    return pd.DataFrame([row for _, row in _jsonl_rows(path)])


def _jsonl_rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    # not splitlines(): U+2028 and its like may stand within a JSON string
    for number, line in enumerate(path.read_bytes().decode('utf-8-sig').split('\n'), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f'row {number}: {error}') from None
        if not isinstance(row, dict):
            raise ValueError(f'row {number} is no JSON object')
        rows.append((number, row))
    return rows


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Neither pandas' index nor folder names such as split=train make or hide columns this way.
        with pq.ParquetFile(path) as file:
            table = file.read().to_pandas(ignore_metadata=True)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None
    categories = table.select_dtypes('category').columns
    return table.astype(dict.fromkeys(categories, object))


_READERS = {'.csv': _read_csv, '.jsonl': _read_jsonl, '.parquet': _read_parquet}


def require(path: Path | str, table: pd.DataFrame, *checks: Check, numbers: Sequence[int] | None = None) -> None:
    """Raise a TableError that lists, for each check, the rows at fault, up to 20, with their number and value.

    A row's number is the line of the file on which it begins, as a text editor shows it: in a CSV the header is
    row 1. That is a spreadsheet's row number too, unless quoted cells before it hold line breaks: those count as lines.
    Rows of Parquet are counted from 1.

    Args:
        path: the file that the user knows.
        table: all of its rows, in its order.
        checks: what must be true.
        numbers: of the rows, where the table is not the file's own or not all of it.
    """
    faults = [(check, np.flatnonzero(~np.asarray(list(check.good), dtype=bool))) for check in checks]
    if not any(len(places) for _, places in faults):
        return
    numbers = row_numbers(Path(path), len(table)) if numbers is None else list(numbers)
    problems = [_describe(check, places, numbers, table) for check, places in faults if len(places)]
    raise TableError(f'{path}: {"; ".join(problems)}.')


def _describe(check: Check, places: np.ndarray, numbers: Sequence[int], table: pd.DataFrame) -> str:
    cells = table[check.column].tolist()
    rows = ', '.join(f'{numbers[place]} ({cells[place]!r})' for place in places[:SHOWN_ROWS])
    more = f' and {len(places) - SHOWN_ROWS} more' if len(places) > SHOWN_ROWS else ''
    return f'{check.problem} in row{"s" if len(places) > 1 else ""} {rows}{more}'


def row_numbers(path: Path, count: int) -> list[int]:
    """The number of each of a file's ``count`` rows, as ``require`` shows it."""
    if path.suffix.lower() == '.csv':
        return [number for number, _ in _csv_rows(path)[1:]]
    if path.suffix.lower() == '.jsonl':
        return [number for number, _ in _jsonl_rows(path)]
    return list(range(1, count + 1))


def is_text(column: pd.Series) -> list[bool]:
    """Where a column holds text, be it empty; a missing value is none."""
    return [isinstance(cell, str) for cell in column]


def as_numbers(column: pd.Series) -> pd.Series:
    """A column as floats, NaN where there is no number."""
    return pd.Series([_as_number(cell) for cell in column], dtype=float)


def _as_number(cell: Any) -> float:
    try:
        return float('nan') if isinstance(cell, bool | np.bool_) else float(cell)
    except (TypeError, ValueError):
        return float('nan')


def mos_checks(table: pd.DataFrame, columns: Iterable[str], mos_range: Sequence[float]) -> list[Check]:
    """That the MOS columns hold numbers within ``mos_range``."""
    low, high = mos_range
    checks = []
    for column in columns:
        numbers = as_numbers(table[column])
        within = numbers.between(low, high) | numbers.isna()
        checks.append(Check(numbers.notna(), f'column {column!r} holds no number', column))
        checks.append(Check(within, f'column {column!r} is outside {low:g} to {high:g}', column))
    return checks


def read_mos_table(
    path: Path | str, folder: Path | str | None, targets: Sequence[str], mos_range: Sequence[float]
) -> pd.DataFrame:
    """Read a prompt-aware data set: columns ``path``, ``prompt``, one per target, and perhaps ``split`` and others.

    Args:
        path: the table.
        folder: what the ``path`` column is relative to; by default the table's folder.
        targets: the MOS columns, such as 'quality'.
        mos_range: lowest and highest possible MOS.

    Returns:
        The table with absolute paths in ``path`` and numbers in the target columns, in the file's order.

    Raises:
        TableError: listing every row at fault: images that are not there, duplicates, a MOS missing or out of range.
    """
    table = read_table(path, ['path', 'prompt', *targets])
    folder = Path(folder) if folder else Path(path).parent
    images = [str(folder / cell) if isinstance(cell, str) and cell else None for cell in table['path']]
    times = Counter(images)
    require(
        path,
        table,
        Check([image is not None for image in images], 'there is no path', 'path'),
        Check([image is None or times[image] == 1 for image in images], 'the same image stands twice', 'path'),
        Check(
            [image is None or Path(image).is_file() for image in images],
            f'there is no such image file (paths are relative to {folder})',
            'path',
        ),
        Check(is_text(table['prompt']), 'the prompt is no text', 'prompt'),
        *mos_checks(table, targets, mos_range),
    )
    return table.assign(path=images, **{target: as_numbers(table[target]) for target in targets})
