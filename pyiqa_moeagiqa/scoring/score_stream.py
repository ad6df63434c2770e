"""``--output -``: scores as CSV on standard output."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .output import OutputError, columns_of
from .score_formats import NO_NUMBERS, Row, csv_line, csv_row, row_of

STREAM = Path('-')


class ScoreStream:
    """Replaces ``ScoreFile`` for standard output: it starts empty, and each row is flushed at once.

    Args:
        made_by, with_numbers, safe_cells: as for ``ScoreFile``.
    """

    def __init__(self, made_by: Mapping[str, Any], with_numbers: bool = False, safe_cells: bool = False):
        self.columns = columns_of(made_by, with_numbers)
        self.rows: list[Row] = []
        self._safe_cells = safe_cells
        self._write(csv_line(self.columns))

    def add(
        self, path: str, prompt: str, score: float, numbers: Mapping[str, float | None] = NO_NUMBERS, content: str = ''
    ) -> None:
        """Write one row."""
        row = row_of(self.columns, path, prompt, score, numbers, content)
        self._write(csv_row(row, self._safe_cells))

    def _write(self, line: str) -> None:
        try:
            sys.stdout.write(line)
            sys.stdout.flush()
        except BrokenPipeError:  # the reading program has closed the pipe
            raise
        except OSError as error:
            raise OutputError(
                f'Standard output cannot be written ({(error.strerror or str(error)).lower()}).'
            ) from None

    def close(self) -> None:
        """Do nothing: all rows are written already."""
