"""Scores a data set with a metric: each image is scored once for all targets, and its scores are kept."""

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from ..data.info import is_of_set
from ..file_hash import file_hash
from ..options import OptionError
from ..plugin import OURS
from ..scoring.by_content import Key, known_scores, score_missing
from ..scoring.command import made_by
from ..scoring.output import ScoreFile
from ..scoring.protocol import Metric
from ..scoring.scale import targets_of
from ..scoring.sources import Item
from ..whole_file import whole_file
from .contestants import Contestant
from .entry import Entry
from .rated import Rated
from .targets import Asked, target_for

MISSING = 0.05  # the largest share of images without a score


def scored(
    contestant: Contestant, metric: Metric, empty: Mapping[Asked, Entry], rated: Rated, folder: Path
) -> Iterator[Entry]:
    """The metric's entries, one for each target of the data set.

    Args:
        contestant: the metric's name, weights and label.
        metric: from ``pyiqa.create_metric``.
        empty: the entries before scoring.
        rated: the data set.
        folder: receives a file of scores for each data set, metric, weights and target.

    Raises:
        OutputError: for scores that cannot be written there.
    """
    data = next(iter(empty.values())).data
    targets, reasons = _targets(metric, rated.targets)
    facts = _facts(contestant, metric, set(targets.values()))
    files = {
        target: folder / f'{data}-{contestant.metric}-{_short(made)}.parquet' for target, made in facts.items()
    }  # fmt: skip
    known, failed = _scores(metric, rated, files, facts, f'{contestant.label} on {data}')
    for asked, entry in empty.items():
        if asked in reasons:
            yield replace(entry, reason=reasons[asked])
            continue
        target = targets[asked]
        entry = replace(
            entry,
            how=_how(contestant, metric, data, rated) + _of_another_name(asked, target),
            parameters=_parameters(metric.net),
            seconds=_seconds(files[target]),
            lower_better=metric.lower_better,
            own=[known[target].get(key, math.nan) for key in _keys(rated)],
            own_name=f'{contestant.label} {target}'.strip(),
        )
        yield without_gaps(entry, rated, asked, failed)


def with_scores(entry: Entry, rated: Rated, asked: Asked, scores: Sequence[float]) -> Entry:
    """The entry with its table, or with a reason if all scores are the same, as nothing correlates with them.

    Args:
        entry: an entry without a table.
        rated: the data set.
        asked: the MOS column and target.
        scores: one for each image; higher is better.
    """
    if len(set(scores)) < 2:
        return replace(entry, reason=f'all images score {abs(scores[0]):g}, and a constant has no correlation')
    others = {one.column for one in rated.targets} - {asked.column}
    table = rated.table.drop(columns=list(others)).rename(columns={asked.column: 'mos'})
    return replace(entry, table=table.assign(score=scores))


def _targets(metric: Metric, targets: Sequence[Asked]) -> tuple[dict[Asked, str], dict[Asked, str]]:
    """For each MOS column either the metric's target, or the reason why the metric does not score it."""
    found, reasons = {}, {}
    for asked in targets:
        try:
            found[asked] = target_for(targets_of(metric), asked)
        except OptionError as error:
            reasons[asked] = str(error)
    return found, reasons


def _facts(contestant: Contestant, metric: Metric, targets: set[str]) -> dict[str, dict[str, Any]]:
    """What the scores of each target depend on besides image and prompt."""
    facts = made_by(contestant.metric, metric)
    if weights := _foreign_weights(contestant):
        facts |= {'file': file_hash(weights)}
    return {target: facts | ({'target': target} if target else {}) for target in sorted(targets)}


def _foreign_weights(contestant: Contestant) -> str | None:
    return contestant.weights if contestant.metric not in OURS else None


def _short(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def _keys(rated: Rated) -> list[Key]:
    return list(zip(rated.content, rated.table['prompt'], strict=True))


def _scores(
    metric: Metric, rated: Rated, files: Mapping[str, Path], facts: Mapping[str, dict[str, Any]], title: str
) -> tuple[dict[str, dict[Key, float]], list[str]]:
    """Score the images that have no stored score yet.

    Returns the scores of each target by content and prompt, and the reasons why some images have none.
    """
    with ExitStack() as stack:
        outputs = {
            target: stack.enter_context(closing(ScoreFile(file, facts[target]))) for target, file in files.items()
        }
        is_new = [target for target, output in outputs.items() if not output.rows]
        items = [Item(Path(path), prompt) for path, prompt in rated.table[['path', 'prompt']].itertuples(index=False)]
        start = time.perf_counter()
        results = list(score_missing(metric, items, _keys(rated), outputs, title)) if outputs else []
        if results:
            for target in is_new:  # time complete first runs only; warm-up would dominate a few images
                _note_seconds(files[target], (time.perf_counter() - start) / len(results))
        known = {target: known_scores(output) for target, output in outputs.items()}
    return known, [f'{result.path}: {result.reason}' for result in results if result.score is None]


def without_gaps(entry: Entry, rated: Rated, asked: Asked, failed: Sequence[str]) -> Entry:
    """The entry with its table, or with a reason if more than the share ``MISSING`` of images has no score.

    Args:
        entry: an entry with ``own`` and without a table.
        rated, asked: as for ``with_scores``.
        failed: for images without a score, their path and the reason.
    """
    score = pd.Series(entry.own) * (-1 if entry.lower_better else 1)
    missing = int(score.isna().sum())
    if missing:
        note = f'{missing} of {len(score)} images have no score' + (f'; the first is {failed[0]}' if failed else '')
        if missing > MISSING * len(score):
            return replace(entry, reason=note)
        # Give unscored images the metric's median, so that all metrics share the same images.
        entry = replace(entry, how=f'{entry.how}; {note}; they get the median score')
    return with_scores(entry, rated, asked, score.fillna(score.median()).tolist())


def _how(contestant: Contestant, metric: Metric, data: str, rated: Rated) -> str:
    """Say whether the metric is zero-shot, or what it was trained on and whether that can include these images."""
    if weights := _foreign_weights(contestant):
        return f'own weights, {Path(weights).name}'
    info = getattr(metric.net, 'info', {})
    trained_on = info.get('dataset')
    if not trained_on:
        return 'zero-shot'
    if not is_of_set(trained_on, data):
        return f'trained on {trained_on}'
    if rated.split and info.get('split') == rated.split:
        return f'trained on {rated.split}=train'
    return f'trained on {trained_on}: perhaps on these images'


def _of_another_name(asked: Asked, target: str) -> str:
    """Name the metric's target that is compared, if the MOS column has another name."""
    return f'; its {target} is compared' if target not in ('', asked.column) else ''


def _parameters(network: nn.Module) -> int:
    """Count a metric's parameters, including those that pyiqa keeps in a list so that they are not saved, such as CLIP's."""
    lists = [value for value in vars(network).values() if isinstance(value, list)]
    hidden = [part for parts in lists for part in parts if isinstance(part, nn.Module)]
    return sum(tensor.numel() for module in (network, *hidden) for tensor in module.parameters())


def _note_seconds(file: Path, seconds: float) -> None:
    with whole_file(file.with_suffix('.seconds.json')) as part:
        part.write_text(json.dumps(seconds))


def _seconds(file: Path) -> float:
    note = file.with_suffix('.seconds.json')
    return float(json.loads(note.read_text())) if note.is_file() else math.nan
