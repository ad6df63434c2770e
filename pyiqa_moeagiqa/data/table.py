"""Read users' tables and check them row by row."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..options import quoted, shown
from .columns import find_column, there_are, with_our_names
from .info import known_range
from .table_files import READERS, row_numbers

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SHOWN_ROWS = 20


class TableError(ValueError):
    """A table that cannot be used; the message names the file, the column or rows, and the remedy."""


class Check(NamedTuple):
    """A check of one ``column``: ``good`` says for each row whether it passes, ``problem`` what is wrong if it does not."""

    good: Iterable[bool]
    problem: str
    column: str


def read_table(path: Path | str, columns: Sequence[str]) -> 'pd.DataFrame':
    """Read a table that has at least ``columns``, under these names or the other names in ``columns.NAMES``.

    The file may be ``.csv`` or ``.tsv`` (separated by commas, semicolons or tabs), ``.json`` (a list of objects),
    ``.jsonl``, ``.parquet`` or ``.xlsx`` (with the extra ``data``). The words 'None', 'NA' and the like stay text, and an
    empty cell is an empty string; no other cell counts as missing.

    Raises:
        TableError: for a file that is missing, of an unknown kind or encoding, empty, or without a column.
    """
    path = Path(path)
    if not path.is_file():
        kind = (
            'a folder, not a table; give a file'
            if path.is_dir()
            else 'there is no such file; check its name and folder'
        )
        raise TableError(f'{path}: {kind}.')
    if path.suffix.lower() not in READERS:
        known = ', '.join(READERS)
        raise TableError(f'{path}: a table must end in {known}; save it in one of these formats.')
    try:
        table = READERS[path.suffix.lower()](path)
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b'\n') + 1
        raise TableError(f'{path}: row {row} is not UTF-8 text; save the file as UTF-8.') from None
    except (ValueError, OSError) as error:
        raise TableError(f'{path}: it cannot be read as {path.suffix[1:].upper()} ({quoted(error)}).') from None
    require_columns(path, table, columns)
    return with_our_names(table, columns)


def require_columns(path: Path | str, table: 'pd.DataFrame', columns: Sequence[str]) -> None:
    """Raise a TableError for a table without rows, without one of ``columns``, or with two columns of one name."""
    there = list(table.columns)
    missing = [column for column in columns if find_column(there, column) is None]
    if missing and there:
        raise TableError(f'{path}: column {missing[0]!r} is missing; {there_are(there, missing[0])}.')
    if table.empty:
        raise TableError(f'{path}: it has no rows.')
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise TableError(f'{path}: column {twice[0]!r} appears twice; rename one.')


def require(path: Path | str, table: 'pd.DataFrame', *checks: Check, numbers: Sequence[int] | None = None) -> None:
    """Raise a TableError if a row fails a check; list up to 20 rows per check, with number and value.

    A row's number is the line of the file on which it begins, as a text editor shows it: in a CSV the header is
    row 1. A spreadsheet shows the same number, unless quoted cells before the row hold line breaks, which count as lines.
    Rows of Parquet are counted from 1.

    Args:
        path: the file to name in the message.
        table: all rows of the file, in its order.
        checks: the checks that every row must pass.
        numbers: the rows' numbers, if the table is not the whole file as it is.
    """
    import numpy as np

    faults = [(check, np.flatnonzero(~np.asarray(list(check.good), dtype=bool))) for check in checks]
    if not any(len(places) for _, places in faults):
        return
    numbers = row_numbers(Path(path), len(table)) if numbers is None else list(numbers)
    problems = [_describe(check, places, numbers, table) for check, places in faults if len(places)]
    raise TableError(f'{path}: {"; ".join(problems)}.')


def _describe(check: Check, places: 'np.ndarray', numbers: Sequence[int], table: 'pd.DataFrame') -> str:
    cells = table[check.column].tolist()
    rows = ', '.join(f'{numbers[place]} ({cells[place]!r})' for place in places[:SHOWN_ROWS])
    more = f' and {len(places) - SHOWN_ROWS} more' if len(places) > SHOWN_ROWS else ''
    return f'{check.problem} in row{"s" if len(places) > 1 else ""} {rows}{more}'


def no_such_rows(path: Path | str, column: str, wanted: Any, there: Iterable[Any]) -> TableError:
    """The error for a split that no row has; ``there`` are the column's values."""
    values = shown(sorted(set(there), key=str)).strip('[]')
    return TableError(f'{path}: no row has {column} {wanted!r}; there are {values}.')


def is_text(column: 'pd.Series') -> list[bool]:
    """Whether each cell of a column is text; an empty string is, a missing value is not."""
    return [isinstance(cell, str) for cell in column]


def as_numbers(column: 'pd.Series') -> 'pd.Series':
    """Convert a column to floats, with NaN for a cell that is no number."""
    import pandas as pd

    return pd.Series([_as_number(cell) for cell in column], dtype=float)


def _as_number(cell: Any) -> float:
    try:
        return float('nan') if type(cell).__name__ in ('bool', 'bool_') else float(cell)
    except (TypeError, ValueError, OverflowError):
        return float('nan')


def mos_checks(table: 'pd.DataFrame', columns: Iterable[str], mos_range: Sequence[float]) -> list[Check]:
    """Make the checks that the MOS columns hold numbers within ``mos_range``."""
    low, high = mos_range
    checks = []
    for column in columns:
        numbers = as_numbers(table[column])
        within = numbers.between(low, high) | ~(numbers.abs() < math.inf)
        checks.append(Check(numbers.abs() < math.inf, f'column {column!r} holds no number', column))
        checks.append(Check(within, f'column {column!r} is outside {low:g} to {high:g}', column))
    return checks


def read_mos_table(
    path: Path | str, folder: Path | str | None, targets: Sequence[str], mos_range: Sequence[float]
) -> 'pd.DataFrame':
    """Read a prompt-aware data set: columns ``path``, ``prompt``, one per target, and perhaps ``split`` and others.

    Args:
        path: the table.
        folder: folder that the ``path`` column is relative to; by default the table's or the current one (see ``locate``).
        targets: the MOS columns, such as 'quality'.
        mos_range: lowest and highest possible MOS.

    Returns:
        The table with absolute paths in ``path`` and numbers in the target columns, in the file's order.

    Raises:
        TableError: listing the rows at fault: a missing image, a duplicate, a MOS that is missing or out of range.
    """
    table = read_table(path, ['path', 'prompt', *targets])
    images, where = locate(table['path'], [Path(folder)] if folder else [Path(path).parent, Path()])
    times = Counter(images)
    require(
        path,
        table,
        Check([image is not None for image in images], 'there is no path', 'path'),
        Check([image is None or times[image] == 1 for image in images], 'the same image appears twice', 'path'),
        Check(
            [image is None or Path(image).is_file() for image in images],
            f'there is no such image file (paths are relative to {where})',
            'path',
        ),
        Check(is_text(table['prompt']), 'the prompt is not text', 'prompt'),
        *mos_checks(table, targets, mos_range),
    )
    found: Any = images  # each is there
    return table.assign(path=found, **{target: as_numbers(table[target]) for target in targets})


def read_with_range(
    path: Path | str, folder: Path | str | None, targets: Sequence[str], mos_range: Sequence[float] | None
) -> 'tuple[pd.DataFrame, tuple[float, float]]':
    """Read a table as ``read_mos_table`` does, and the range of its MOS.

    Args:
        path, folder, targets: as for ``read_mos_table``.
        mos_range: lowest and highest possible MOS; None for that of the data set that the file is named after, such as
            ``agiqa3k.csv``, or else the lowest and highest MOS in the table.

    Raises:
        TableError: as ``read_mos_table``, and for a table whose MOS are all the same.
    """
    known = mos_range or known_range(path)
    table = read_mos_table(path, folder, targets, known or (-math.inf, math.inf))
    if known:
        return table, (known[0], known[1])
    mos = table[list(targets)]
    low, high = float(mos.min().min()), float(mos.max().max())
    if low == high:
        raise TableError(f'{path}: all MOS are {low:g}, so they have no range; name their mos_range, as in [0, 5].')
    return table, (low, high)


def locate(paths: Iterable[Any], folders: Sequence[Path]) -> tuple[list[str | None], str]:
    """Find a table's images: take all paths relative to the one of ``folders`` in which most of them exist.

    Args:
        paths: the cells. A path with backslashes that does not exist is read as a Windows path.
        folders: the folders to try; if several have equally many images, the first of them is taken.

    Returns:
        A path for each cell, None for a cell that is empty or not text; and the folder, or all folders joined by 'or' if
        no image exists in any.
    """
    located = [[_joined(folder, cell) for cell in paths] for folder in folders]
    there = [sum(path is not None and os.path.exists(path) for path in found) for found in located]
    best = there.index(max(there))
    where = str(folders[best].absolute()) if any(there) else ' or '.join(str(folder.absolute()) for folder in folders)
    return located[best], where


def _joined(folder: Path, cell: Any) -> str | None:
    if not isinstance(cell, str) or not cell:
        return None
    path = str(folder / cell)
    return path if os.path.exists(path) else str(folder / with_slashes(cell))


def with_slashes(path: str) -> str:
    """Convert a Windows path to one of this system, with slashes for backslashes."""
    return path.replace('\\', os.sep)
