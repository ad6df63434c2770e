"""A score in units with a meaning: MOS with its interval, and the percentile among AGIQA-3K's images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..data.info import description, is_of_set
from ..options import is_range
from .protocol import Metric

COLUMNS = ('mos', 'low', 'high', 'percentile')
NOVELTY = 'novelty'
INTERVAL_SHARE = 0.8  # of images, whose MOS lie within the interval of their score


@dataclass(frozen=True)
class Scale:
    """What a checkpoint's score of one target means; each part is None if the checkpoint's header lacks it.

    Attributes:
        mos_range: the MOS that scores of 0 and 1 stand for.
        interval: the quantiles of MOS minus score between which ``INTERVAL_SHARE`` lies, with both scaled to [0, 1].
        quantiles: the 0th, 1st ... 100th percentile of the MOS of AGIQA-3K's images.

    Example:
        >>> Scale((0, 5), (-0.1, 0.1), None).of(0.5)
        {'mos': 2.5, 'low': 2.0, 'high': 3.0, 'percentile': None}
    """

    mos_range: tuple[float, float] | None
    interval: tuple[float, float] | None
    quantiles: Sequence[float] | None

    def of(self, score: float) -> dict[str, float | None]:
        """The columns that follow a score.

        ``mos``: the score in the MOS units of the data set that the checkpoint was trained on. A score can lie a little
        outside of 0 to 1, and ``mos`` then lies outside of the MOS range.

        ``low``, ``high``: the MOS of ``INTERVAL_SHARE`` of images lies between them, within the MOS range. The embedded checkpoint's were measured on unseen
        prompts and on generators that training had left out. For a generator unlike all of those, or for damaged images,
        fewer can lie between them.

        ``percentile``: the percentage of AGIQA-3K's 2,982 images whose MOS is below ``mos``. Their generators are of 2018 to
        2023, so it says little about today's best. Predictions stay closer to the mean than MOS do, so it is seldom near
        0 or 100.
        """
        if self.mos_range is None:
            return dict.fromkeys(COLUMNS)
        lowest, highest = self.mos_range

        def as_mos(score: float) -> float:
            return lowest + (highest - lowest) * score

        mos = as_mos(score)
        ends = [None, None] if self.interval is None else [as_mos(score + error) for error in self.interval]
        low, high = (None if end is None else min(max(end, lowest), highest) for end in ends)
        percentile = None if self.quantiles is None else _percentile(mos, self.quantiles)
        return {'mos': mos, 'low': low, 'high': high, 'percentile': percentile}


def _percentile(mos: float, quantiles: Sequence[float]) -> float:
    import numpy as np

    return float(np.interp(mos, quantiles, np.arange(101)))


def scale_of(metric: Any, target: str | None = None) -> Scale | None:
    """The scale of one target of a metric from ``pyiqa.create_metric``, or of its network; default: the metric's own target.

    None for metrics of other packages.
    """
    net = getattr(metric, 'net', metric)
    if not hasattr(net, 'info') or not hasattr(net, 'target'):
        return None
    info, target = net.info, target or net.target
    mos_range = tuple(info['mos_range']) if is_range(info.get('mos_range')) else None
    return Scale(mos_range, info.get('interval', {}).get(target), _quantiles(info, target))


def columns_of(target: str, targets: Iterable[str]) -> list[str]:
    """The columns of numbers that follow a score.

    First come those of ``Scale.of``; then, for each other target such as alignment, 'alignment', 'alignment_mos' and so on;
    last 'novelty' (see ``Details``).

    Args:
        target: the target of the score.
        targets: all targets that the metric scores.
    """
    others = [
        column for name in targets if name != target for column in (name, *(f'{name}_{part}' for part in COLUMNS))
    ]
    return [*COLUMNS, *others, NOVELTY]


def number_columns(metric: Metric) -> list[str]:
    """The columns of numbers that follow a metric's score; none for metrics of other packages."""
    return columns_of(metric.net.target, targets_of(metric)) if scale_of(metric) else []


def scales_of(metric: Metric) -> dict[str, Scale]:
    """The scale of each of a metric's targets, the metric's own target first; empty for metrics of other packages."""
    if scale_of(metric) is None:
        return {}
    targets = dict.fromkeys((metric.net.target, *targets_of(metric)))
    return {target: scale for target in targets if (scale := scale_of(metric, target))}


def targets_of(metric: Metric) -> list[str]:
    """The targets that a metric scores at once, such as quality and alignment; empty for metrics without targets."""
    network = getattr(metric.net, 'network', None)
    return list(getattr(getattr(network, 'config', None), 'targets', ()))


def numbers_of(
    scales: Mapping[str, Scale], score: float, scores: Mapping[str, float], novelty: float | None = None
) -> dict[str, float | None]:
    """The values of the columns of ``columns_of``.

    Args:
        scales: of the metric, from ``scales_of``.
        score: for the metric's own target.
        scores: for all its targets, by name.
        novelty: of the image.
    """
    if not scales:
        return {}
    own, *others = scales
    numbers: dict[str, float | None] = scales[own].of(score)
    for name in others:
        if name in scores:
            said = scales[name].of(scores[name])
            numbers |= {name: scores[name]} | {f'{name}_{part}': value for part, value in said.items()}
    return numbers | {NOVELTY: novelty}


def _quantiles(info: Mapping[str, Any], target: str) -> Sequence[float] | None:
    """AGIQA-3K's quantiles, for a checkpoint that was trained on it and predicts its MOS; None for any other."""
    known = description('agiqa3k')
    is_of_it = is_of_set(str(info.get('dataset', '')), 'agiqa3k') and info.get('mos_range') == known['mos_range']
    return known['quantiles'].get(target) if is_of_it else None
