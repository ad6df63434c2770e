"""One image's score, and the row that an output already has for it.

No heavy import is made here, so that a run with nothing to do is quick.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..file_hash import file_hash
from .output import COLUMNS, Key
from .score_formats import CONTENT, Row


@dataclass
class Result:
    """One image's score, or why it has none.

    Attributes:
        path, prompt: of the image.
        score: for the metric's target; None if the image could not be scored.
        reason: why there is no score.
        notes: warnings about the image, such as that its prompt was cut.
        scores: for every target of the metric, by name; empty for metrics without targets.
        numbers: the columns that follow the score in a table, such as its MOS, by name; empty for other packages' metrics.
        content: hash of the image's file; '' for an image that is not a file.
        is_known: whether the score was in the output already.
    """

    path: str
    prompt: str
    score: float | None
    reason: str = ''
    notes: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    content: str = ''
    is_known: bool = False

    @property
    def outcome(self) -> str:
        """'failed', 'known' (its score was in the output already) or 'new'."""
        return 'failed' if self.score is None else 'known' if self.is_known else 'new'


def row_of(result: Result) -> Row:
    """The row from which ``known_result`` restores a result."""
    return {'score': result.score, CONTENT: result.content} | dict(result.numbers)


def known_result(path: str, prompt: str, row: Row) -> Result:
    """The result of an image whose row is in the output."""
    numbers = {name: value for name, value in row.items() if name not in (*COLUMNS, CONTENT)}
    return Result(path, prompt, row['score'], numbers=numbers, content=row[CONTENT], is_known=True)


def changed_rows(paths: Iterable[Path | str], rows: Iterable[Row]) -> set[Key]:
    """Path and prompt of the rows whose file has changed: a new picture under an old name has no score yet.

    A file that is missing or cannot be read does not count as changed: its row stays.

    Args:
        paths: the files to check.
        rows: of an output.
    """
    asked = {str(path) for path in paths}
    now: dict[str, str] = {}
    changed = set()
    for row in rows:
        path = row['path']
        if path in asked:
            if path not in now:
                now[path] = content_of(path)
            if now[path] not in ('', row[CONTENT]):
                changed.add((path, row['prompt']))
    return changed


def content_of(path: Path | str) -> str:
    """SHA-256 of an image's file; '' if it is not a file or cannot be read."""
    try:
        return file_hash(path) if Path(path).is_file() else ''
    except OSError:
        return ''
