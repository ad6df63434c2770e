"""Turns rows of scores into a CSV, JSON-lines or Parquet file, and back."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from ..spreadsheet import as_meant, spreadsheet_safe

Row = dict[str, Any]
ENDINGS = ('.csv', '.jsonl', '.parquet')
RANK, CONTENT = 'rank', 'content'
TEXTS = ('path', 'prompt', CONTENT)  # columns of text; all others hold numbers
NO_NUMBERS: Mapping[str, float | None] = MappingProxyType({})
NOT_ROWS = (
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    RecursionError,
    csv.Error,
)  # raised by ``parsed`` and ``checked``


def row_of(
    columns: Iterable[str], path: str, prompt: str, score: float, numbers: Mapping[str, float | None], content: str
) -> Row:
    """A row with all of ``columns``; a number that is not known is None."""
    known = {'path': path, 'prompt': prompt, 'score': score, CONTENT: content}
    return {name: known[name] if name in known else numbers.get(name) for name in columns}


def csv_line(cells: Iterable[Any]) -> str:
    """A line of CSV, with its line end."""
    line = io.StringIO(newline='')
    csv.writer(line, lineterminator='\r\n').writerow(cells)  # quotes cells that hold \r or \n
    return line.getvalue().removesuffix('\r\n') + '\n'


def csv_row(row: Row, safe_cells: bool) -> str:
    """A row as a line of CSV; with ``safe_cells``, texts that a spreadsheet would take for a formula are marked as text."""
    safe = {name: spreadsheet_safe(row[name]) for name in TEXTS} if safe_cells else {}
    return csv_line((row | safe).values())


def json_line(row: Row) -> str:
    """A row as a line of JSON, with its line end."""
    return json.dumps(row, ensure_ascii=False) + '\n'


def file_of(rows: Iterable[Row], ending: str, columns: Iterable[str], safe_cells: bool) -> bytes:
    """The bytes of a file of rows."""
    if ending == '.parquet':
        return _parquet(rows, columns)
    if ending == '.csv':
        return ''.join([csv_line(columns), *(csv_row(row, safe_cells) for row in rows)]).encode()
    return ''.join(map(json_line, rows)).encode()


def parsed(data: bytes, ending: str, safe_cells: bool = False) -> tuple[list[str], list[Row]]:
    """The columns and rows of a file; a blank one has no columns.

    Raises:
        NOT_ROWS: for a damaged file, and one of another format.
    """
    if not data.strip():
        return [], []
    if ending == '.parquet':
        return _parsed_parquet(data)
    if ending == '.csv':
        return _parsed_csv(data.decode(), safe_cells)
    rows = [json.loads(line) for line in data.decode().split('\n') if line]
    return list(rows[0]), rows


def checked(row: Row, found: list[str], columns: Iterable[str]) -> Row:
    """The cells of ``columns`` of a row that was read from a file with the columns ``found``.

    Raises:
        NOT_ROWS: for a row with other columns, without a score, or with a cell of another type.
    """
    numbers = {name: _number_or_none(row[name]) for name in columns if name not in TEXTS}
    if list(row) != found or numbers['score'] is None or not all(isinstance(row[name], str) for name in TEXTS):
        raise ValueError
    return {name: numbers[name] if name in numbers else row[name] for name in columns}


def _number_or_none(cell: Any) -> float | None:
    """A cell's number; None for None and for the '' of an empty CSV cell."""
    number = None if cell in (None, '') else float(cell)
    if number is not None and not math.isfinite(number):
        raise ValueError
    return number


def _parsed_csv(text: str, safe_cells: bool) -> tuple[list[str], list[Row]]:
    lines = csv.reader(io.StringIO(text, newline=''), strict=True)
    columns = next(lines)
    rows: list[Row] = [dict(zip(columns, line, strict=True)) for line in lines]
    if safe_cells:
        rows = [row | {name: as_meant(row[name]) for name in TEXTS} for row in rows]
    return columns, rows


def _parsed_parquet(data: bytes) -> tuple[list[str], list[Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(io.BytesIO(data)).read()
        return table.column_names, table.to_pylist()
    except (pa.ArrowException, OSError) as error:  # pyarrow raises OSError for a damaged page
        raise ValueError(str(error)) from None


def _parquet(rows: Iterable[Row], columns: Iterable[str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {RANK: pa.int64()} | dict.fromkeys(TEXTS, pa.string())
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in columns])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema), buffer)
    return buffer.getvalue()
