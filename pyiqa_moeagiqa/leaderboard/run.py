"""Metrics on data sets: each score is computed once and kept; what cannot be had is a row that says why."""

import hashlib
import json
import math
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from ..checkpoints.file import file_hash
from ..data.info import is_of_set
from ..data.table import TableError
from ..plugin import METRICS, OURS
from ..scoring.by_content import known_scores, score_missing
from ..scoring.command import made_by, make_metric
from ..scoring.output import ScoreFile
from ..scoring.sources import Item
from ..whole_file import whole_file
from .baselines import BASELINES
from .contestants import Contestant
from .rated import Rated

PATIENCE = 3.0  # seconds
MISSING = 0.05  # the share of images that may stay without a score


@dataclass(frozen=True)
class Entry:
    """One metric on one data set's MOS of one target.

    Attributes:
        metric, data, target: their names.
        table: columns path, prompt, mos, score (higher is better) and, where the data set has them, generator and style; None
            where the metric could not be had or left images without a score.
        how: how it came to its scores.
        reason: why there is no table.
        seconds: an image, when its scores were computed.
        parameters: of the metric.
        mos_range: the data set's, or the lowest and highest MOS there.
    """

    metric: str
    data: str
    target: str
    table: pd.DataFrame | None = None
    how: str = ''
    reason: str = ''
    seconds: float = math.nan
    parameters: int = 0
    mos_range: tuple[float, float] = (0.0, 1.0)


def run(
    contestants: Sequence[Contestant], data: Mapping[str, Rated], targets: Sequence[str], folder: Path
) -> list[Entry]:
    """All metrics on all data sets; a run that was cut goes on, and another metric is computed alone.

    Args:
        contestants: of this package's metrics the score of the target is taken, where they have it.
        data: name -> what ``read_rated`` gave.
        targets: what the MOS are of; a data set takes part with those that it has.
        folder: where scores are kept.
    """
    entries = []
    with _no_waiting_for_the_hub():
        for contestant in contestants:
            for target in targets:
                there = {name: rated for name, rated in data.items() if target in rated.targets}
                entries += _entries(contestant, target, there, folder) if there else []
    return entries


def _entries(contestant: Contestant, target: str, data: Mapping[str, Rated], folder: Path) -> list[Entry]:
    empty = {
        name: Entry(contestant.label, name, target, mos_range=rated.mos_range)
        for name, rated in data.items()
    }  # fmt: skip
    if contestant.metric in BASELINES:
        return [_baseline(contestant, empty[name], rated, folder) for name, rated in data.items()]
    try:
        metric = _make(contestant, target)
    except (ValueError, OSError) as error:  # all of this package's own errors are ValueErrors
        reason = str(error).removeprefix(f'--metric {contestant.metric}: ')
        return [replace(entry, reason=reason) for entry in empty.values()]
    return [_scored(contestant, metric, empty[name], rated, folder) for name, rated in data.items()]


def _make(contestant: Contestant, target: str) -> Any:
    options = {'target': target} if contestant.metric in METRICS else {}
    if contestant.weights:
        options['pretrained_model_path'] = contestant.weights
    return make_metric(contestant.metric, options)


@contextmanager
def _no_waiting_for_the_hub() -> Iterator[None]:
    """Where there is no way to the hub, its client is told so: it would try for a minute for each metric."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=PATIENCE).close()  # by the user's proxies and mirror
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _baseline(contestant: Contestant, entry: Entry, rated: Rated, folder: Path) -> Entry:
    if rated.training.empty:
        return replace(entry, reason='it is fitted to training rows: give --split COLUMN=test of a split that has some')
    try:
        scores = BASELINES[contestant.metric](rated, entry.target, folder / 'scores')
    except TableError as error:
        return replace(entry, reason=str(error))
    return replace(entry, table=_with_scores(rated, entry.target, scores), how=f'trained on {rated.split}=train')


def _with_scores(rated: Rated, target: str, scores: Sequence[float]) -> pd.DataFrame:
    others = [name for name in rated.targets if name != target]
    return rated.table.drop(columns=others).rename(columns={target: 'mos'}).assign(score=scores)


def _scored(contestant: Contestant, metric: Any, entry: Entry, rated: Rated, folder: Path) -> Entry:
    facts = made_by(contestant.metric, metric) | (
        {'file': file_hash(contestant.weights)} if _is_foreign(contestant) else {}
    )
    file = folder / 'scores' / f'{entry.data}-{contestant.metric}-{_short(facts)}.parquet'
    output = ScoreFile(file, facts)
    try:
        failed = _score_missing(metric, rated, output, f'{entry.metric} on {entry.data}')
        scores = known_scores(output)
    finally:
        output.close()
    entry = replace(
        entry,
        how=_how(contestant, metric, entry.data, rated),
        parameters=_parameters(metric.net),
        seconds=_seconds(file),
    )
    sign = -1 if metric.lower_better else 1
    score = pd.Series([sign * scores.get(key, math.nan) for key in _keys(rated)])
    missing = int(score.isna().sum())
    if missing:
        note = f'{missing} of {len(score)} images have no score; the first is {failed[0]}'
        if missing > MISSING * len(score):
            return replace(entry, reason=note)
        # Knowing nothing is what it is taken for, so that all metrics stand on the same images.
        entry = replace(entry, how=f'{entry.how}; {note}: they count as its median')
    return replace(entry, table=_with_scores(rated, entry.target, score.fillna(score.median())))


def _is_foreign(contestant: Contestant) -> bool:
    return contestant.weights is not None and contestant.metric not in OURS


def _how(contestant: Contestant, metric: Any, data: str, rated: Rated) -> str:
    """Zero-shot, or what the checkpoint was trained on, and whether these images were perhaps among it."""
    if _is_foreign(contestant):
        return f'own weights, {Path(contestant.weights).name}'
    info = getattr(metric.net, 'info', {})
    trained_on = info.get('dataset')
    if not trained_on:
        return 'zero-shot'
    if not is_of_set(trained_on, data):
        return f'trained on {trained_on}'
    if rated.split and info.get('split') == rated.split:
        return f'trained on {rated.split}=train'
    return f'trained on {trained_on}: perhaps on these images'


def _parameters(network: nn.Module) -> int:
    """A metric's parameters, with those that pyiqa hides in a list so that they are not saved, as of CLIP."""
    lists = [value for value in vars(network).values() if isinstance(value, list)]
    hidden = [part for parts in lists for part in parts if isinstance(part, nn.Module)]
    return sum(tensor.numel() for module in (network, *hidden) for tensor in module.parameters())


def _score_missing(metric: Any, rated: Rated, output: ScoreFile, title: str) -> list[str]:
    """Score the images whose content is not in the file yet; why some could not be."""
    table, is_new = rated.table, not output.rows
    items = [Item(Path(path), prompt) for path, prompt in zip(table['path'], table['prompt'], strict=True)]
    start = time.perf_counter()
    results = list(score_missing(metric, items, _keys(rated), output, title))
    if results and is_new:  # of a few images the first, slow one would tell
        _note_seconds(output.path, (time.perf_counter() - start) / len(results))
    return [f'{result.path}: {result.reason}' for result in results if result.score is None]


def _keys(rated: Rated) -> list[tuple[str, str]]:
    return list(zip(rated.content, rated.table['prompt'], strict=True))


def _short(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def _note_seconds(file: Path, seconds: float) -> None:
    with whole_file(file.with_suffix('.seconds.json')) as part:
        part.write_text(json.dumps(seconds))


def _seconds(file: Path) -> float:
    note = file.with_suffix('.seconds.json')
    return float(json.loads(note.read_text())) if note.is_file() else math.nan
