"""Files of scores that survive an interrupted run: each row is on disk as soon as it is added."""

import errno
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import filelock

from ..whole_file import whole_file
from . import scale as scales
from .score_formats import (
    CONTENT,
    ENDINGS,
    NO_NUMBERS,
    NOT_ROWS,
    RANK,
    Row,
    checked,
    file_of,
    json_line,
    parsed,
    row_of,
)

COLUMNS = ('path', 'prompt', 'score')
REMEMBERED = ('asked', 'lower_better', 'safe_cells')  # in a file's note, but scores do not depend on it
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
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
    cell is None in ``rows``. Each new row is appended to a JSON-lines file in the same folder, the journal; ``close`` writes
    all rows to the file and removes the journal. If a run is killed before, the next one goes on from file and journal.
    A second file, the note, records how the scores were made, so that a later run does not mix them with others. While the
    file is open, no other process can open it.

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
        self.journal = self.path.with_name(self.path.name + '.jsonl')
        self._file: BinaryIO | None = None  # the journal, once it is written to
        with self._errors_named():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock()
            try:
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
        self._safe_cells = note.get('safe_cells', False) if note else safe_cells
        self._seen = _changed_at(self.path)
        data, lines = _read_bytes(self.path), _read_bytes(self.journal)
        self._is_written = bool(data) and not (self._ranked or self.journal.exists())
        # A killed run can leave its last line unfinished. It writes a note first: without one, the lines are not ours.
        whole = lines[: lines.rfind(b'\n') + 1] if note else lines
        try:
            rows = self._rows_of(self.path, data, self._ending) + self._rows_of(self.journal, whole, '.jsonl')
        except OutputError:
            self._check_note(note)  # another metric has other columns: name the metric as the cause
            raise
        if rows:
            self._check_note(note)
        if len(whole) < len(lines):
            os.truncate(self.journal, len(whole))
        self.rows = list({(row['path'], row['prompt']): row for row in rows}.values())
        now = self._made_by | ({'safe_cells': True} if self._safe_cells else {})
        if now != note:
            _replace(note_of(self.path), json.dumps(now).encode())

    def _rows_of(self, path: Path, data: bytes, ending: str) -> list[Row]:
        try:
            found, rows = parsed(data, ending, self._safe_cells)
            if found not in ([], [*self.columns], [RANK, *self.columns]):
                raise ValueError
            rows = [checked(row, found, self.columns) for row in rows]
        except NOT_ROWS:
            raise OutputError(
                f'{path}: it holds something else than columns {", ".join(self.columns)} (such as scores of an earlier '
                'version), is damaged, or was saved by another program; name another --output, or remove the file.'
            ) from None
        if RANK in found and not self._ranked:
            raise OutputError(
                f'{path}: its rows are sorted by rank; go on with "moeagiqa rank", or name another --output.'
            )
        return rows

    def _check_note(self, note: Mapping[str, Any]) -> None:
        before, now = ({k: v for k, v in facts.items() if k not in REMEMBERED} for facts in (note, self._made_by))
        differs = [name for name in {**before, **now} if before.get(name) != now.get(name)] if note else []
        if differs:
            holder = self.journal if self.journal.exists() else self.path
            raise OutputError(
                f'{holder}: its scores were made with {differs[0]} {before.get(differs[0])!r}, now it is '
                f'{now.get(differs[0])!r}: name another --output, or remove the file.'
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
            self._append(json_line(row).encode())
        self.rows.append(row)

    def _append(self, line: bytes) -> None:
        self._is_written = False
        if self._file is None:
            self._file = self.journal.open('ab', buffering=0)
        end = os.fstat(self._file.fileno()).st_size
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError:
            self._file.truncate(end)  # a full disk can have taken part of the row
            raise

    def drop(self, keys: Collection[Key]) -> None:
        """Remove the rows of some paths and prompts, such as those of images that have changed."""
        if keys:
            self.rows = [row for row in self.rows if (row['path'], row['prompt']) not in keys]
            self._is_written = False

    def close(self) -> None:
        """Write all rows to the file, and remove the journal.

        Raises:
            OutputError: if the file cannot be written, or another program has written it; the journal then stays, and a later
                run goes on from it.
        """
        if not self._held.is_locked:  # closed already: another process can hold the file by now
            return
        try:
            with self._errors_named():
                if self._file is not None:
                    self._file.close()
                if not self._is_written:
                    self._write()
        finally:
            self._unlock()

    def _write(self) -> None:
        if _changed_at(self.path) not in (None, self._seen):
            raise OutputError(
                f'{self.path}: another program has changed it; repeat the command, which goes on from {self.journal}, too, or '
                'move the file away before.'
            )
        rows, columns = self.rows, self.columns
        if self._ranked:
            rows, columns = self._ranked(rows), (RANK, *columns)
        _replace(self.path.resolve(), file_of(rows, self._ending, columns, self._safe_cells))  # a link stays a link
        self.journal.unlink(missing_ok=True)


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


def _changed_at(path: Path) -> int | None:
    """The time of a file's last change; None if there is no file."""
    return path.stat().st_mtime_ns if path.exists() else None


def _read_bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b''


def _replace(path: Path, data: bytes) -> None:
    """Write a file completely or not at all."""
    with whole_file(path) as part:
        part.write_bytes(data)
