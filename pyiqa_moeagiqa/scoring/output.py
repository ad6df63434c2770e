"""Files of scores that survive whatever stops the run: each row is on disk once it is written."""

import csv
import io
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..whole_file import whole_file
from . import scale as scales

COLUMNS = ('path', 'prompt', 'score')
ENDINGS = ('.csv', '.jsonl', '.parquet')

Row = dict[str, Any]


class OutputError(ValueError):
    """An output file that cannot be used, said in one sentence."""


def check_ending(path: Path | str) -> str:
    """The kind of file, in lower case.

    Raises:
        OutputError: for one that scores are not written to.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise OutputError(f'{path}: the output must end in {", ".join(ENDINGS)}.')
    return ending


class ScoreFile:
    """Rows of path, prompt and score in CSV, JSON lines or Parquet; what stands in it already is kept.

    With a scale its columns stand beside the score; a cell that it leaves empty is None in ``rows``. Rows go to the file one by one. Parquet cannot grow, so its rows go to a JSON-lines file beside it, which
    ``close`` turns into Parquet. How the scores were made is noted in a second file, so that a later run does not
    mix them with others.

    Args:
        path: the file; ``.csv``, ``.jsonl`` or ``.parquet``.
        made_by: what the scores depend on, such as metric and number of crops.
        scale: of the metric, as ``scale_of`` gives it.

    Raises:
        OutputError: for another ending, a file with rows from other settings or with other columns, or one that
            cannot be written. The file stays as it was then.
    """

    def __init__(self, path: Path | str, made_by: dict[str, Any], scale: scales.Scale | None = None):
        self.path, self._scale = Path(path), scale
        self.columns = (*COLUMNS, *(scales.COLUMNS if scale else ()))
        self._is_csv = check_ending(path) == '.csv'
        self._is_parquet = check_ending(path) == '.parquet'
        self.journal = self.path.with_name(self.path.name + '.jsonl') if self._is_parquet else self.path
        self._note = self.path.with_name(self.path.name + '.run.json')
        try:
            self._open(made_by)
        except OSError as error:
            raise OutputError(f'{path}: it cannot be written ({error.strerror}); name another --output.') from None

    def _open(self, made_by: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_finished = self._is_parquet and self.path.exists() and not self.journal.exists()
        data = self._parquet_as_lines() if is_finished else _read_bytes(self.journal)
        # A last line that a killed run did not finish is dropped, but only once the rest has proved to be ours.
        whole = data[: _whole_length(data, self._is_csv)]
        if data and not whole and not self._is_torn_start(data):
            raise self._foreign()
        try:
            self.rows: list[Row] = self._parse(whole)
        except OutputError:
            self._check_note(made_by)  # scores of another metric have other columns, and what differs is the metric
            raise
        if self.rows:
            self._check_note(made_by)
        if is_finished:
            _replace(self.journal, data)
        elif len(whole) < len(data):
            os.truncate(self.journal, len(whole))
        self._file = self.journal.open('a', encoding='utf-8', newline='')
        _replace(self._note, json.dumps(made_by).encode())
        if self._is_csv and not whole:
            self._write(_csv_line(self.columns))

    def _check_note(self, made_by: dict[str, Any]) -> None:
        note = _read_bytes(self._note)
        try:
            before = dict(json.loads(note or json.dumps(made_by)))
        except (TypeError, ValueError):
            raise OutputError(f'{self._note}: it is damaged; remove it and {self.path}.') from None
        differs = [name for name in {**before, **made_by} if before.get(name) != made_by.get(name)]
        if differs:
            holder = self.journal if self.journal.exists() else self.path
            raise OutputError(
                f'{holder}: its scores were made with {differs[0]} {before.get(differs[0])!r}, now it is '
                f'{made_by.get(differs[0])!r}: name another --output, or remove the file.'
            )

    def _parquet_as_lines(self) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path) as file:
                rows = file.read().to_pylist()
        except pa.ArrowException:
            raise OutputError(f'{self.path}: it is damaged or no Parquet file; name another --output.') from None
        return ''.join(map(_json_line, rows)).encode()

    def _parse(self, data: bytes) -> list[Row]:
        try:
            text = data.decode()
            rows = self._csv_rows(text) if self._is_csv else [json.loads(line) for line in text.split('\n')[:-1]]
            return [self._checked(row) for row in rows]
        except (KeyError, TypeError, ValueError, csv.Error):
            raise self._foreign() from None

    def _checked(self, row: Row) -> Row:
        path, prompt, score = row['path'], row['prompt'], float(row['score'])
        is_ours = isinstance(path, str) and isinstance(prompt, str) and math.isfinite(score)
        if not is_ours or tuple(row) != self.columns:
            raise TypeError
        numbers = {name: _number_or_none(row[name]) for name in self.columns[len(COLUMNS) :]}
        return {'path': path, 'prompt': prompt, 'score': score} | numbers

    def _csv_rows(self, text: str) -> list[Row]:
        header, *rows = list(csv.reader(io.StringIO(text, newline=''), strict=True)) or [self.columns]
        if tuple(header) != self.columns:
            raise KeyError
        return [dict(zip(self.columns, row, strict=True)) for row in rows]

    def _is_torn_start(self, data: bytes) -> bool:
        """Whether data without a finished row are the start of a file of ours, and not somebody else's file."""
        if self._is_csv:
            return _csv_line(self.columns).encode().startswith(data)
        try:
            self._checked(json.loads(data))
        except (KeyError, TypeError):
            return False
        except ValueError:
            start = b'{"path": "'
            return data.startswith(start) or start.startswith(data)
        return True

    def _foreign(self) -> OutputError:
        there = f'{self.path}: it holds something else than columns {", ".join(self.columns)}'
        remedy = ' (such as scores of an earlier version)' if self._scale else ''
        return OutputError(f'{there}{remedy}; name another --output, or remove the file.')

    def add(self, path: str, prompt: str, score: float) -> None:
        """Write one row, with what the scale says of its score."""
        row = {'path': path, 'prompt': prompt, 'score': score} | (self._scale.of(score) if self._scale else {})
        self._write(_csv_line(row.values()) if self._is_csv else _json_line(row))
        self.rows.append(row)

    def _write(self, line: str) -> None:
        self._file.write(line)
        self._file.flush()

    def close(self) -> None:
        """Finish the file: for Parquet, turn the rows into it."""
        self._file.close()
        if not self._is_parquet:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        texts = [('path', pa.string()), ('prompt', pa.string())]
        schema = pa.schema(texts + [(name, pa.float64()) for name in self.columns[len(texts) :]])
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(self.rows, schema), buffer)
        _replace(self.path, buffer.getvalue())
        self.journal.unlink()


def _number_or_none(cell: Any) -> float | None:
    """A cell beside the score; an empty one of CSV is ''."""
    number = None if cell in (None, '') else float(cell)
    if number is not None and not math.isfinite(number):
        raise ValueError
    return number


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO(newline='')
    csv.writer(line, lineterminator='\r\n').writerow(values)  # so that a cell with either of the two is quoted
    return line.getvalue().removesuffix('\r\n') + '\n'


def _json_line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + '\n'


def _read_bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b''


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(data)


def _whole_length(data: bytes, is_csv: bool) -> int:
    """Where the last finished row ends. A row of CSV may hold line ends within quotes."""
    end = data.rfind(b'\n') + 1
    quotes = data.count(b'"', 0, end)
    while is_csv and quotes % 2:
        start = data.rfind(b'\n', 0, end - 1) + 1
        quotes -= data.count(b'"', start, end)
        end = start
    return end
