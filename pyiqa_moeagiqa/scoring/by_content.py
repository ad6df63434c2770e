"""Scores kept by the hash of an image's file: a renamed image keeps its score, and a new image under an old name has none."""

import math
from collections.abc import Iterator, Mapping, Sequence

from tqdm import tqdm

from ..console import plain
from .output import ScoreFile
from .protocol import Metric
from .result import Result
from .run import score_items
from .sources import Item

Key = tuple[str, str]  # content and prompt; the path if the file cannot be read, so that scoring reports each such file


def known_scores(output: ScoreFile) -> dict[Key, float]:
    """The scores in a file, by content and prompt."""
    return {(row['path'], row['prompt']): row['score'] for row in output.rows}


def score_missing(
    metric: Metric,
    items: Sequence[Item],
    keys: Sequence[Key],
    outputs: Mapping[str, ScoreFile],
    title: str | None = None,
) -> Iterator[Result]:
    """Score the items whose key is missing in one of the files, each key once.

    Yields their results; a result's score is in the files by then.

    Args:
        metric: from ``pyiqa.create_metric``.
        items: what to score.
        keys: content and prompt of each.
        outputs: the file of each target's scores, by the target's name; '' for the metric's own score, which can be its
            only one.
        title: the text of the progress line.
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
