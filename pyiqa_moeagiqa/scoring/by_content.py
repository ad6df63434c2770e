"""Scores kept by what is in an image's file: a renamed image has its score already, and a new one under an old name has none."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..console import plain
from .output import ScoreFile
from .result import Result
from .result import content_of as file_content
from .run import score_items
from .sources import Item

Key = tuple[str, str]  # content and prompt


def content_of(image: Path | str) -> str:
    """SHA-256 of an image's file; the path of one that cannot be read, as scoring says what is wrong with it."""
    return file_content(image) or str(image)


def known_scores(output: ScoreFile) -> dict[Key, float]:
    """The scores in a file, by content and prompt."""
    return {(row['path'], row['prompt']): row['score'] for row in output.rows}


def score_missing(
    metric: Any,
    items: Sequence[Item],
    keys: Sequence[Key],
    outputs: Mapping[str, ScoreFile],
    title: str | None = None,
) -> Iterator[Result]:
    """Score the items whose key one of the files lacks, each key once; yields their results, and scores are in the files then.

    Args:
        metric: from ``pyiqa.create_metric``.
        items: what to score.
        keys: content and prompt of each.
        outputs: where the scores of each target are kept, by its name; '' for the metric's own, which may be its only one.
        title: what the progress line says.
    """
    done = {target: known_scores(output) for target, output in outputs.items()}
    lacking = {key: item for key, item in zip(keys, items, strict=True) if any(key not in has for has in done.values())}
    results = score_items(metric, lacking.values())
    title = None if title is None else plain(title)
    shown = tqdm(results, total=len(lacking), desc=title, unit='image', disable=None if lacking else True)
    for key, result in zip(lacking, shown, strict=True):
        for target, output in outputs.items():
            score = result.scores.get(target) if target else result.score
            if key not in done[target] and score is not None and math.isfinite(score):
                output.add(*key, score)
        yield result
