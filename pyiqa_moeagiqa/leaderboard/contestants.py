"""Contestants of the leaderboard: a metric of pyiqa, with the user's own weights if given, a baseline, or a run's predictions."""

from typing import NamedTuple

from ..console import plain
from ..scoring.sources import SourceError
from .baselines import BASELINES

PREDICTIONS = 'predictions'


class Contestant(NamedTuple):
    """A contestant: ``metric`` is a metric of pyiqa, a baseline or ``PREDICTIONS``, ``label`` the name of its row.

    ``weights`` is the metric's checkpoint, or the file of predictions.
    """

    label: str
    metric: str
    weights: str | None = None


def parse(text: str) -> Contestant:
    """Parse ``METRIC``, ``METRIC:WEIGHTS`` or ``LABEL=METRIC:WEIGHTS``; ``predictions:FILE`` stands for a file of scores.

    Raises:
        SourceError: for a name that is neither a no-reference metric of pyiqa nor a baseline, weights for a baseline, or
            predictions without a file.

    Example:
        >>> parse('cnniqa:runs/net_best.pth')
        Contestant(label='cnniqa net_best', metric='cnniqa', weights='runs/net_best.pth')
    """
    import pyiqa

    front, _, weights = text.partition(':')
    label, _, metric = front.rpartition('=')
    if metric in BASELINES and weights:
        raise SourceError(f'--metrics {text}: {metric} is fitted to the training rows and takes no weights.')
    if metric == PREDICTIONS and not weights:
        raise SourceError(
            f'--metrics {text}: {metric} needs a file, as in mine={metric}:experiments/NAME/predictions.csv.'
        )
    if metric not in (*BASELINES, PREDICTIONS) and metric not in pyiqa.list_models(metric_mode='NR'):
        known = ' and '.join(BASELINES)
        raise SourceError(
            f'--metrics {metric}: pyiqa has no such no-reference metric ("pyiqa -ls" lists them), and the baselines are {known}.'
        )
    label = label or (f'{metric} {_named(metric, weights)}' if weights else metric)
    return Contestant(plain(label), metric, weights or None)


def _named(metric: str, weights: str) -> str:
    """A file's name without its ending; for predictions, whose files have one name, that of the run's folder."""
    *folders, name = weights.replace('\\', '/').split('/')
    return folders[-1] if folders and metric == PREDICTIONS else name.rsplit('.', 1)[0]


def parse_all(texts: list[str]) -> list[Contestant]:
    """Parse all texts; a contestant that is named twice is kept once.

    Raises:
        SourceError: if there is none, for one that ``parse`` refuses, or for two with the same label.
    """
    contestants = list(dict.fromkeys(map(parse, texts)))
    if not contestants:
        raise SourceError('--metrics names no metric; give names such as moeagiqa,piqe.')
    labels = [contestant.label for contestant in contestants]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise SourceError(
            f'--metrics: two metrics are called {twice!r}; rename one, as in other={twice.split()[0]}:FILE.'
        )
    return contestants
