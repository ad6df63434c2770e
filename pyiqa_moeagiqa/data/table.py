"""Tables from users: CSV, JSON lines or Parquet, read without guessing and checked row by row."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

SHOWN_ROWS = 20


class TableError(ValueError):
    """A table that cannot be used; the message names the file, the column or rows, and the remedy."""


def read_table(path: Path | str, columns: Sequence[str]) -> pd.DataFrame:
    """Read a ``.csv``, ``.jsonl`` or ``.parquet`` file that has at least ``columns``.

    The words 'None', 'NA' and the like stay words: an empty cell is an empty string, and nothing else is missing.

    Raises:
        TableError: for a file that is missing, of an unknown kind or encoding, empty, or without a column.
    """
    path = Path(path)
    if not path.is_file():
        raise TableError(f'{path}: there is no such file.')
    try:
        table = _READERS[path.suffix.lower()](path)
    except KeyError:
        known = ', '.join(_READERS)
        raise TableError(f'{path}: tables are read from {known}, not from {path.suffix or "such a file"!r}.') from None
    except UnicodeDecodeError as error:
        raise TableError(f'{path}: not UTF-8 text (byte {error.start}); save it as UTF-8.') from None
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parse errors are ValueErrors
        reason = str(error).strip().splitlines()[0]
        raise TableError(f'{path}: it cannot be read as {path.suffix[1:].upper()} ({reason}).') from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise TableError(f'{path}: column {missing[0]!r} is missing; there are {", ".join(map(repr, table.columns))}.')
    if table.empty:
        raise TableError(f'{path}: it has no rows.')
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, encoding='utf-8-sig', keep_default_na=False, na_values={}, dtype=str)


def _read_jsonl(path: Path) -> pd.DataFrame:
    return pd.read_json(path, lines=True, encoding='utf-8', dtype=False, convert_dates=False)


_READERS = {'.csv': _read_csv, '.jsonl': _read_jsonl, '.parquet': pd.read_parquet}


def require(path: Path | str, table: pd.DataFrame, good: pd.Series, problem: str, column: str) -> None:
    """Raise a TableError that lists the rows where ``good`` is false, up to 20, with their number and value.

    Row numbers count as an editor does: in a CSV the header is row 1.
    """
    bad = table.index[~good.to_numpy(dtype=bool)]
    if len(bad) == 0:
        return
    first = 2 if Path(path).suffix.lower() == '.csv' else 1
    rows = ', '.join(f'{table.index.get_loc(i) + first} ({table[column][i]!r})' for i in bad[:SHOWN_ROWS])
    more = f' and {len(bad) - SHOWN_ROWS} more' if len(bad) > SHOWN_ROWS else ''
    raise TableError(f'{path}: {problem} in row{"s" if len(bad) > 1 else ""} {rows}{more}.')


def read_mos_table(
    path: Path | str, folder: Path | str | None, targets: Sequence[str], mos_range: tuple[float, float]
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
    table['path'] = [str(folder / str(name)) for name in table['path']]
    require(path, table, ~table['path'].duplicated(), 'the same image stands twice', 'path')
    there = table['path'].map(lambda name: Path(name).is_file())
    require(path, table, there, f'there is no such image file (paths are relative to {folder})', 'path')
    require(path, table, table['prompt'].map(lambda prompt: isinstance(prompt, str)), 'the prompt is no text', 'prompt')
    low, high = mos_range
    for target in targets:
        numbers = pd.to_numeric(table[target], errors='coerce')
        require(path, table, numbers.notna(), f'column {target!r} holds no number', target)
        require(path, table, numbers.between(low, high), f'column {target!r} is outside {low} to {high}', target)
        table[target] = numbers
    return table
