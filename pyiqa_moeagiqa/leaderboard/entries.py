"""Makes the leaderboard's entries: scores data sets with metrics; a metric that fails becomes an entry with the reason."""

import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.table import TableError
from ..plugin import IMAGE_REWARD, METRICS
from ..scoring.command import make_metric
from ..scoring.protocol import Metric
from .baselines import BASELINES
from .contestants import PREDICTIONS, Contestant
from .entry import Entry
from .predictions import predicted
from .rated import Rated
from .scored import scored, with_scores
from .targets import Asked

PATIENCE = 3.0  # seconds


def entries_of(
    contestants: Sequence[Contestant], data: Mapping[str, Rated], options: Mapping[str, Any], folder: Path
) -> list[Entry]:
    """Score all data sets with all metrics.

    Scores are kept: an interrupted run continues where it stopped, and an added metric is computed alone.

    Args:
        contestants: for this package's metrics, the score of the asked target is used if they have it.
        data: name -> result of ``read_rated``.
        options: of ``create_metric``; all but the device (and dtype, for ImageReward) apply only to this package's metrics.
        folder: where scores are kept.

    Raises:
        ValueError: for a device that cannot be used, or scores that cannot be written.
    """
    with no_waiting_for_the_hub():
        return [entry for contestant in contestants for entry in _entries(contestant, data, options, folder)]


@contextmanager
def no_waiting_for_the_hub() -> Iterator[None]:
    """Set the hub's client offline if the hub cannot be reached: it would retry for a minute per metric."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=PATIENCE).close()  # uses the user's proxies and mirror
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _entries(
    contestant: Contestant, data: Mapping[str, Rated], options: Mapping[str, Any], folder: Path
) -> Iterator[Entry]:
    empty = {name: _empty(contestant, name, rated) for name, rated in data.items()}
    if contestant.metric in BASELINES:
        for name, rated in data.items():
            yield from (_baseline(contestant, empty[name][asked], rated, asked, folder) for asked in rated.targets)
        return
    if contestant.metric == PREDICTIONS:
        for name, rated in data.items():
            yield from predicted(contestant, empty[name], rated)
        return
    try:
        metric = _make(contestant, options)
    except (ValueError, OSError) as error:  # all of this package's own errors are ValueErrors
        if str(error).startswith('--device'):
            raise  # no metric can be made with it
        reason = str(error).removeprefix(f'--metric {contestant.metric}: ')
        yield from (replace(entry, reason=reason) for entries in empty.values() for entry in entries.values())
        return
    for name, rated in data.items():
        yield from scored(contestant, metric, empty[name], rated, folder / 'scores')


def _empty(contestant: Contestant, data: str, rated: Rated) -> dict[Asked, Entry]:
    return {
        asked: Entry(contestant.label, data, asked.label, mos_range=rated.mos_range, own_name=contestant.label)
        for asked in rated.targets
    }


def _make(contestant: Contestant, options: Mapping[str, Any]) -> Metric:
    taken = {'device'} | ({'dtype'} if contestant.metric == IMAGE_REWARD else set())
    options = {name: value for name, value in options.items() if name in taken or contestant.metric in METRICS}
    if contestant.weights:
        options['pretrained_model_path'] = contestant.weights
    return make_metric(contestant.metric, options)


def _baseline(contestant: Contestant, entry: Entry, rated: Rated, asked: Asked, folder: Path) -> Entry:
    if rated.training.empty:
        return replace(
            entry,
            reason='it is fitted to training rows: give --split COLUMN=test with a column that also has rows of train',
        )
    try:
        scores = BASELINES[contestant.metric](rated, asked.column, folder / 'scores')
    except TableError as error:
        return replace(entry, reason=str(error))
    name = f'{contestant.label} {asked.column}'
    entry = replace(entry, own=list(scores), own_name=name, how=f'trained on {rated.split}=train')
    return with_scores(entry, rated, asked, list(scores))
