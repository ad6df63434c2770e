"""Scores kept by what is in an image's file: a renamed image has its score already, and a new one under an old name has none."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..checkpoints.file import file_hash
from .output import ScoreFile
from .run import Result, score_items
from .sources import Item

Key = tuple[str, str]  # content and prompt


def content_of(image: Path | str) -> str:
    """SHA-256 of an image's file; the path of one that cannot be read, as scoring says what is wrong with it."""
    try:
        return file_hash(image)
    except OSError:
        return str(image)


def known_scores(output: ScoreFile) -> dict[Key, float]:
    """The scores in a file, by content and prompt."""
    return {(row['path'], row['prompt']): row['score'] for row in output.rows}


def score_missing(
    metric: Any, items: Sequence[Item], keys: Sequence[Key], output: ScoreFile, title: str | None = None
) -> Iterator[Result]:
    """Score the items whose key is not in the file yet, each key once; yields their results, and scores are in the file then.

    Args:
        metric: from ``pyiqa.create_metric``.
        items: what to score.
        keys: content and prompt of each.
        output: where scores are kept.
        title: what the progress line says.
    """
    done = known_scores(output)
    todo = {key: item for key, item in zip(keys, items, strict=True) if key not in done}
    results = score_items(metric, todo.values())
    shown = tqdm(results, total=len(todo), desc=title, unit='image', disable=None if todo else True)
    for key, result in zip(todo, shown, strict=True):
        if result.score is not None:
            output.add(*key, result.score)
        yield result
