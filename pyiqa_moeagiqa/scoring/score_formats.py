"""Writes rows of scores as CSV, JSON lines and Parquet, and reads them."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from ..spreadsheet import as_meant, spreadsheet_safe

Row = dict[str, Any]
CONTENT = 'content'
TEXTS = ('path', 'prompt', CONTENT)  # columns of text; all others hold numbers
NO_NUMBERS: Mapping[str, float | None] = MappingProxyType({})


def row_of(
    columns: Iterable[str], path: str, prompt: str, score: float, numbers: Mapping[str, float | None], content: str
) -> Row:
    """A row with all of ``columns``; a number that is not known is None."""
    known = {'path': path, 'prompt': prompt, 'score': score, CONTENT: content}
    return {name: known[name] if name in known else numbers.get(name) for name in columns}


class RowFormat(Protocol):
    """A kind of file that grows row by row."""

    def head(self, columns: Sequence[str]) -> str:
        """The text before the first row."""

    def line(self, row: Row) -> str:
        """One row, with its line end."""

    def rows(self, text: str) -> list[Row]:
        """The rows of a whole text. Raises a ValueError, KeyError, TypeError or csv.Error for text of another format."""

    def whole_length(self, data: bytes) -> int:
        """Where the last finished row ends."""


class Csv:
    """CSV with a header.

    Args:
        safe_cells: whether texts that a spreadsheet would take for a formula are marked as text.
    """

    def __init__(self, safe_cells: bool = False):
        self.safe_cells = safe_cells

    def head(self, columns: Sequence[str]) -> str:
        return _csv_line(columns)

    def line(self, row: Row) -> str:
        cells: Iterable[Any] = row.values()
        if self.safe_cells:
            cells = [spreadsheet_safe(cell) if name in TEXTS else cell for name, cell in row.items()]
        return _csv_line(cells)

    def rows(self, text: str) -> list[Row]:
        header, *rows = list(csv.reader(io.StringIO(text, newline=''), strict=True)) or [[]]
        found = [dict(zip(header, row, strict=True)) for row in rows]
        if not self.safe_cells:
            return found
        return [{name: as_meant(cell) if name in TEXTS else cell for name, cell in row.items()} for row in found]

    def whole_length(self, data: bytes) -> int:
        """Where the last finished row ends; a line end within quotes does not end a row."""
        end = data.rfind(b'\n') + 1
        quotes = data.count(b'"', 0, end)
        while quotes % 2:
            start = data.rfind(b'\n', 0, end - 1) + 1
            quotes -= data.count(b'"', start, end)
            end = start
        return end


class JsonLines:
    """A JSON object in each line."""

    def head(self, columns: Sequence[str]) -> str:
        return ''

    def line(self, row: Row) -> str:
        return json.dumps(row, ensure_ascii=False) + '\n'

    def rows(self, text: str) -> list[Row]:
        try:
            return [json.loads(line) for line in text.split('\n')[:-1]]
        except RecursionError:
            raise ValueError('it nests too deeply') from None

    def whole_length(self, data: bytes) -> int:
        return data.rfind(b'\n') + 1


def read_parquet(path: Path) -> list[Row]:
    """The rows of a Parquet file.

    Raises:
        ValueError: for a damaged file, or one that is not Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return file.read().to_pylist()
    except (pa.ArrowException, OSError) as error:  # pyarrow raises OSError for a damaged page
        raise ValueError(str(error)) from None


def parquet(rows: Sequence[Row], columns: Iterable[str]) -> bytes:
    """Rows as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {'rank': pa.int64()} | dict.fromkeys(TEXTS, pa.string())
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in columns])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema), buffer)
    return buffer.getvalue()


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO(newline='')
    csv.writer(line, lineterminator='\r\n').writerow(values)  # quotes cells that hold \r or \n
    return line.getvalue().removesuffix('\r\n') + '\n'
