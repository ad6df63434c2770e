"""Files of scores that survive an interrupted run: each row is in the file as soon as it is added."""

import csv
import errno
import json
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import filelock

from ..whole_file import whole_file
from . import scale as scales
from .score_formats import CONTENT, NO_NUMBERS, TEXTS, Csv, JsonLines, Row, RowFormat, parquet, read_parquet, row_of

COLUMNS, RANK = ('path', 'prompt', 'score'), 'rank'
ENDINGS = ('.csv', '.jsonl', '.parquet')
REMEMBERED = ('asked', 'lower_better', 'safe_cells')  # in a file's note, but scores do not depend on it
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
JSON_LINES = JsonLines()
Key = tuple[str, str]  # path and prompt


class OutputError(ValueError):
    """An output file that cannot be used; the message is one sentence."""


def check_output(path: Path | str) -> str:
    """The file's ending in lower case, such as '.csv'.

    Raises:
        OutputError: for an ending that is not in ``ENDINGS``, and for a folder, pipe or device.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise OutputError(f'{path}: the output must end in {", ".join(ENDINGS)}, or be - for standard output.')
    if path.exists() and not path.is_file():
        raise OutputError(f'{path}: it is no ordinary file; name another --output, or - for standard output.')
    return ending


class ScoreFile:
    """Rows of path, prompt, score and content in CSV, JSON lines or Parquet; rows that are in the file already are kept.

    This package's metrics add MOS, interval and percentile after the score, and the same for their other targets. An empty
    cell is None in ``rows``. Rows are written to the file one by one. Some files cannot grow by a row: Parquet, and a file
    that is sorted by rank. Their rows go to a JSON-lines file in the same folder, the journal; ``close`` turns it into the
    file. A second file, the note, records how the scores were made, so that a later run does not mix them with others.
    While the file is open, no other process can open it.

    Args:
        path: the file; ``.csv``, ``.jsonl`` or ``.parquet``.
        made_by: what the scores depend on, such as metric and number of crops. Its keys in ``REMEMBERED`` can differ from
            an earlier run's.
        with_numbers: whether there are columns for the numbers of ``numbers_of``.
        ranked: called with all rows when the file is closed; returns them in the order of the file, each with its ``rank``.
        safe_cells: whether a new CSV marks texts that a spreadsheet would take for a formula; see ``spreadsheet.py``.

    Raises:
        OutputError: for another ending, a file that another process writes to, one with rows from other settings or with other
            columns, or one that cannot be written. The file is then left unchanged.
    """

    def __init__(
        self,
        path: Path | str,
        made_by: Mapping[str, Any],
        with_numbers: bool = False,
        ranked: Callable[[list[Row]], list[Row]] | None = None,
        safe_cells: bool = False,
    ):
        self._ending = check_output(path)
        self.path, self._ranked, self._made_by = Path(path), ranked, dict(made_by)
        self.columns = columns_of(made_by, with_numbers)
        self._grows = ranked is None and self._ending != '.parquet'
        beside = self.path.with_name(self.path.name + '.jsonl')
        self.journal = self.path if self._grows else beside
        self._file: BinaryIO | None = None  # the journal, once it is written to
        with self._errors_named():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock()
            try:
                if self._grows and beside.exists():
                    raise OutputError(
                        f'{beside}: "moeagiqa rank" was stopped and left its rows there; go on with it, or name another '
                        '--output.'
                    )
                self._open(safe_cells)
            except BaseException:
                self._unlock()
                raise

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Turn an OSError into an OutputError of one sentence that names this file."""
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).strip().splitlines()[0].lower()
            room = 'make room there, or ' if error.errno in FULL else ''
            raise OutputError(f'{self.path}: it cannot be written ({reason}); {room}name another --output.') from None

    def _lock(self) -> None:
        self._held = filelock.FileLock(f'{self.path}.lock', timeout=0, thread_local=False)
        try:
            self._held.acquire()
        except filelock.Timeout:
            raise OutputError(
                f'{self.path}: another process is writing to it; wait for its end, or name another --output.'
            ) from None

    def _unlock(self) -> None:
        Path(self._held.lock_file).unlink(missing_ok=True)
        self._held.release()

    def _open(self, safe_cells: bool) -> None:
        note = read_note(self.path)
        self._csv = Csv(note.get('safe_cells', False) if note else safe_cells)
        self._format: RowFormat = self._csv if self._grows and self._ending == '.csv' else JSON_LINES
        is_finished = not self._grows and self.path.exists() and not self.journal.exists()
        self._is_finished = is_finished
        data = self._finished_as_lines() if is_finished else _read_bytes(self.journal)
        # Drop a last line that a killed run left unfinished, but only once the rest is known to be ours.
        whole = data[: self._format.whole_length(data)]
        if self._grows and data.startswith((b'rank,', b'{"rank": ')):
            raise OutputError(
                f'{self.path}: its rows are sorted by rank; go on with "moeagiqa rank", or name another --output.'
            )
        if data and not whole and not self._is_torn_start(data, bool(note)):
            raise self._foreign()
        try:
            self.rows: list[Row] = self._parse(whole)
        except OutputError:
            self._check_note(note)  # another metric has other columns: name the metric as the cause
            raise
        if self.rows:
            self._check_note(note)
        if self._grows and not whole:
            self._rewrite()
        elif len(whole) < len(data):
            os.truncate(self.journal, len(whole))
        self._write_note(note)

    def _write_note(self, before: Mapping[str, Any]) -> None:
        note = self._made_by | ({'safe_cells': True} if self._csv.safe_cells else {})
        if note != before:
            _replace(note_of(self.path), json.dumps(note).encode())

    def _check_note(self, note: Mapping[str, Any]) -> None:
        before, now = ({k: v for k, v in facts.items() if k not in REMEMBERED} for facts in (note, self._made_by))
        differs = [name for name in {**before, **now} if before.get(name) != now.get(name)] if note else []
        if differs:
            holder = self.journal if self.journal.exists() else self.path
            raise OutputError(
                f'{holder}: its scores were made with {differs[0]} {before.get(differs[0])!r}, now it is '
                f'{now.get(differs[0])!r}: name another --output, or remove the file.'
            )

    def _finished_as_lines(self) -> bytes:
        """The rows of a file that cannot grow, as the JSON lines of its journal."""
        try:
            if self._ending == '.parquet':
                rows = read_parquet(self.path)
            else:
                text = _read_bytes(self.path).decode()
                rows = (self._csv if self._ending == '.csv' else JSON_LINES).rows(text)
            self._is_finished = self._ranked is None or all(RANK in row for row in rows)
            rows = [{name: cell for name, cell in row.items() if name != RANK} for row in rows]
        except (ValueError, csv.Error):
            kind = self._ending[1:].upper()
            raise OutputError(f'{self.path}: it is damaged or no {kind} file; name another --output.') from None
        return ''.join(map(JSON_LINES.line, rows)).encode()

    def _parse(self, data: bytes) -> list[Row]:
        try:
            if self._format is self._csv and data and not data.startswith(self._csv.head(self.columns).encode()):
                raise KeyError
            return [self._checked(row) for row in self._format.rows(data.decode())]
        except (KeyError, TypeError, ValueError, csv.Error):
            raise self._foreign() from None

    def _checked(self, row: Row) -> Row:
        if tuple(row) != self.columns or not all(isinstance(row[name], str) for name in TEXTS):
            raise TypeError
        score = _number_or_none(row['score'])
        if score is None:
            raise ValueError
        numbers = {name: _number_or_none(row[name]) for name in self.columns if name not in TEXTS}
        return row | numbers

    def _is_torn_start(self, data: bytes, has_note: bool) -> bool:
        """Whether data without a finished row are the start of one of our files, not of another program's."""
        if self._format is self._csv:
            return self._csv.head(self.columns).encode().startswith(data)
        start = b'{"path": "'
        return start.startswith(data) or (data.startswith(start) and has_note) or self._is_row(data)

    def _is_row(self, data: bytes) -> bool:
        try:
            return bool(self._checked(json.loads(data)))
        except (KeyError, TypeError, ValueError, RecursionError):
            return False

    def _foreign(self) -> OutputError:
        there = f'{self.path}: it holds something else than columns {", ".join(self.columns)}'
        return OutputError(
            f'{there} (such as scores of an earlier version), or was saved by another program; name another --output, or remove the '
            'file.'
        )

    def add(
        self, path: str, prompt: str, score: float, numbers: Mapping[str, float | None] = NO_NUMBERS, content: str = ''
    ) -> None:
        """Write one row.

        Args:
            path, prompt, score: of the image.
            numbers: values of the other columns, by name.
            content: hash of the image's file.

        Raises:
            OutputError: if the row cannot be written; earlier rows stay.
        """
        row = row_of(self.columns, path, prompt, score, numbers, content)
        with self._errors_named():
            self._append(self._require_journal(), self._format.line(row).encode())
        self.rows.append(row)

    def drop(self, keys: Collection[Key]) -> None:
        """Remove the rows of some paths and prompts, such as those of images that have changed."""
        if keys:
            self.rows = [row for row in self.rows if (row['path'], row['prompt']) not in keys]
            with self._errors_named():
                self._rewrite()

    def _require_journal(self) -> BinaryIO:
        """Open the journal. If it was removed meanwhile, write it again from the rows in memory.

        Raises:
            OutputError: if another program has replaced it.
        """
        if self._file is not None and _is_same(self._file, self.journal):
            return self._file
        if self._file is not None and self.journal.exists():
            raise OutputError(f'{self.journal}: another program has replaced it; name another --output.')
        if self._file is not None or not self.journal.exists():
            self._rewrite()
        if self._file is None:
            self._file = self.journal.open('ab', buffering=0)
        return self._file

    def _rewrite(self) -> None:
        """Write the journal from the rows in memory."""
        if self._file is not None:
            self._file.close()
        lines = self._format.head(self.columns), *map(self._format.line, self.rows)
        _replace(self.journal, ''.join(lines).encode())
        self._file = self.journal.open('ab', buffering=0)

    def _append(self, journal: BinaryIO, line: bytes) -> None:
        end = os.fstat(journal.fileno()).st_size
        try:
            while line:
                line = line[journal.write(line) :]
        except OSError:
            os.ftruncate(journal.fileno(), end)  # a full disk can have taken part of the row
            raise

    def close(self) -> None:
        """Finish the file: if it cannot grow, turn its journal into it.

        Raises:
            OutputError: if it cannot be written; the journal then stays, and a later run continues from it.
        """
        if not self._held.is_locked:  # closed already: another process can hold the file by now
            return
        try:
            with self._errors_named():
                if self._file is not None:
                    self._require_journal().close()
                if not self._grows and (self.journal.exists() or not self._is_finished):
                    _replace(self.path, self._finished())
                    self.journal.unlink(missing_ok=True)
        finally:
            self._unlock()

    def _finished(self) -> bytes:
        rows, columns = self.rows, self.columns
        if self._ranked:
            rows, columns = self._ranked(rows), (RANK, *columns)
        if self._ending == '.parquet':
            return parquet(rows, columns)
        format = self._csv if self._ending == '.csv' else JSON_LINES
        return ''.join([format.head(columns), *map(format.line, rows)]).encode()


def columns_of(made_by: Mapping[str, Any], with_numbers: bool) -> tuple[str, ...]:
    """The columns of a file whose scores were made by ``made_by``."""
    numbers = scales.columns_of(made_by.get('target', ''), made_by.get('targets', ())) if with_numbers else ()
    return (*COLUMNS, *numbers, CONTENT)


def note_of(path: Path) -> Path:
    """The file that says how the scores in ``path`` were made."""
    return path.with_name(path.name + '.run.json')


def read_note(path: Path) -> dict[str, Any]:
    """How the scores in ``path`` were made; empty if there is no note.

    Raises:
        OutputError: for a damaged note.
    """
    note = _read_bytes(note_of(path))
    try:
        return dict(json.loads(note or '{}'))
    except (TypeError, ValueError, RecursionError):
        raise OutputError(f'{note_of(path)}: it is damaged; remove it and {path}.') from None


def _is_same(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _number_or_none(cell: Any) -> float | None:
    """A cell's number; None for None and for the '' of an empty CSV cell.

    Raises:
        ValueError: for text that is not a finite number.
    """
    number = None if cell in (None, '') else float(cell)
    if number is not None and not math.isfinite(number):
        raise ValueError
    return number


def _read_bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b''


def _replace(path: Path, data: bytes) -> None:
    """Write a file completely or not at all."""
    with whole_file(path) as part:
        part.write_bytes(data)
