"""One image's score, and what an output knows of it already. Nothing heavy is imported here: a run that has nothing to do is quick."""

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
        path, prompt: the image's.
        score: of the metric's target; None where there is none.
        reason: why there is none.
        notes: what was said about the image, such as a prompt that was cut.
        scores: of every target that the metric scores, by name; empty for metrics without targets.
        numbers: what stands beside the score in a table, by column, such as its MOS; empty for other packages' metrics.
        content: hash of the image's file; '' for what is no file.
        is_known: whether the score stood in the output already.
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
        """'failed', 'known' (its score stood in the output already) or 'new'."""
        return 'failed' if self.score is None else 'known' if self.is_known else 'new'


def row_of(result: Result) -> Row:
    """What ``known_result`` takes back."""
    return {'score': result.score, CONTENT: result.content} | dict(result.numbers)


def known_result(path: str, prompt: str, row: Row) -> Result:
    """The result of an image whose row is in the output."""
    numbers = {name: value for name, value in row.items() if name not in (*COLUMNS, CONTENT)}
    return Result(path, prompt, row['score'], numbers=numbers, content=row[CONTENT], is_known=True)


def changed_rows(paths: Iterable[Path | str], rows: Iterable[Row]) -> set[Key]:
    """Path and prompt of the rows whose file is another now: a new picture under an old name has no score yet.

    A file that is gone or cannot be read for a while is no other one: its row stays.

    Args:
        paths: the files that are looked at.
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
    """SHA-256 of an image's file; '' for what is no file or cannot be read."""
    try:
        return file_hash(path) if Path(path).is_file() else ''
    except OSError:
        return ''
