"""Files of scores that survive whatever stops the run: each row is on disk once it is written."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

COLUMNS = ('path', 'prompt', 'score')
ENDINGS = ('.csv', '.jsonl', '.parquet')


class OutputError(ValueError):
    """An output file that cannot be used, said in one sentence."""


class ScoreFile:
    """Rows of path, prompt and score in CSV, JSON lines or Parquet; what stands in it already is kept.

    Rows go to the file one by one. Parquet cannot grow, so its rows go to a JSON-lines file beside it, which
    ``close`` turns into Parquet. How the scores were made is noted in a second file, so that a later run does not
    mix them with others.

    Args:
        path: the file; ``.csv``, ``.jsonl`` or ``.parquet``.
        made_by: what the scores depend on, such as metric and number of crops.

    Raises:
        OutputError: for another ending, or a file with rows from other settings or with other columns.
    """

    def __init__(self, path: Path | str, made_by: dict[str, Any]):
        self.path = Path(path)
        if self.path.suffix not in ENDINGS:
            raise OutputError(f'{path}: the output must end in {", ".join(ENDINGS)}.')
        self.journal = self.path.with_suffix('.parquet.jsonl') if self.path.suffix == '.parquet' else self.path
        self._note = self.path.with_name(self.path.name + '.run.json')
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._check_note(made_by)
        if self.path.suffix == '.parquet' and self.path.exists() and not self.journal.exists():
            self._reopen_parquet()
        _cut_torn_line(self.journal)
        self.rows = self._read()
        self._file = self.journal.open('a', encoding='utf-8', newline='')
        self._note.write_text(json.dumps(made_by), encoding='utf-8')
        if self.journal.suffix == '.csv' and self._file.tell() == 0:
            self._write(_csv_line(COLUMNS))

    def _check_note(self, made_by: dict[str, Any]) -> None:
        has_rows = any(path.exists() and path.stat().st_size for path in (self.path, self.journal))
        if not has_rows or not self._note.exists():
            return
        before = json.loads(self._note.read_text(encoding='utf-8'))
        if before != made_by:
            differs = next(key for key in {**before, **made_by} if before.get(key) != made_by.get(key))
            raise OutputError(
                f'{self.path}: its scores were made with {differs} {before.get(differs)!r}, now it is '
                f'{made_by.get(differs)!r}: name another --output, or remove the file.'
            )

    def _reopen_parquet(self) -> None:
        import pandas as pd

        pd.read_parquet(self.path).to_json(self.journal, orient='records', lines=True, force_ascii=False)

    def _read(self) -> list[dict[str, Any]]:
        if not self.journal.exists():
            return []
        text = self.journal.read_text(encoding='utf-8')
        try:
            if self.journal.suffix != '.csv':
                rows = [json.loads(line) for line in text.splitlines()]
            else:
                rows = list(csv.DictReader(io.StringIO(text, newline='')))
            return [{'path': row['path'], 'prompt': row['prompt'], 'score': float(row['score'])} for row in rows]
        except (KeyError, TypeError, ValueError):
            raise OutputError(
                f'{self.path}: it holds something else than columns {", ".join(COLUMNS)}; name another --output.'
            ) from None

    def add(self, path: str, prompt: str, score: float) -> None:
        """Write one row."""
        row = {'path': path, 'prompt': prompt, 'score': score}
        self.rows.append(row)
        is_csv = self.journal.suffix == '.csv'
        self._write(_csv_line(row.values()) if is_csv else json.dumps(row, ensure_ascii=False) + '\n')

    def _write(self, line: str) -> None:
        self._file.write(line)
        self._file.flush()

    def close(self) -> None:
        """Finish the file: for Parquet, turn the rows into it."""
        self._file.close()
        if self.journal == self.path:
            return
        import pandas as pd

        part = self.path.with_name(f'{self.path.name}.part{os.getpid()}')
        pd.DataFrame(self.rows, columns=list(COLUMNS)).to_parquet(part, index=False)
        part.replace(self.path)
        self.journal.unlink()


def _csv_line(values) -> str:
    line = io.StringIO(newline='')
    csv.writer(line, lineterminator='\n').writerow(values)
    return line.getvalue()


def _cut_torn_line(path: Path) -> None:
    """Remove a last line that a killed run did not finish. A finished row of CSV may hold line ends within quotes."""
    if not path.exists():
        return
    data = path.read_bytes()
    end = len(data)
    while end and not _is_whole(data[:end], path.suffix):
        end = data.rfind(b'\n', 0, end - 1) + 1
    if end != len(data):
        with path.open('r+b') as file:
            file.truncate(end)


def _is_whole(data: bytes, ending: str) -> bool:
    return data.endswith(b'\n') and (ending != '.csv' or data.count(b'"') % 2 == 0)
