"""A score in units that say something by themselves: MOS with its interval, and where AGIQA-3K's images lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.info import description, is_of_set
from ..options import RANGE

COLUMNS = ('mos', 'low', 'high', 'percentile')


@dataclass(frozen=True)
class Scale:
    """What a checkpoint's score of one target means; each part is None where its header does not say it.

    Attributes:
        mos_range: the MOS that scores of 0 and 1 stand for.
        interval: 10 % and 90 % quantiles of MOS less score, both in [0, 1].
        quantiles: the 0th, 1st ... 100th percentile of the MOS of AGIQA-3K's images.

    Example:
        >>> Scale((0, 5), (-0.1, 0.1), None).of(0.5)
        {'mos': 2.5, 'low': 2.0, 'high': 3.0, 'percentile': None}
    """

    mos_range: tuple[float, float] | None
    interval: tuple[float, float] | None
    quantiles: Sequence[float] | None

    def of(self, score: float) -> dict[str, float | None]:
        """The columns that stand beside a score.

        ``mos``: the score in the MOS units of the data set that the checkpoint was trained on. As a score may lie a little
        outside of 0 to 1, it may lie outside of the MOS' range.

        ``low``, ``high``: within them lies the MOS of 80 % of images. That was measured on unseen prompts of the data set
        that the checkpoint was trained on; of other generators' or damaged images fewer may lie within.

        ``percentile``: of AGIQA-3K's 2,982 images, how many in a hundred have a MOS below this one's ``mos``. They are by
        generators of 2018 to 2023, so it says little about today's best; and as predictions keep closer to the mean than MOS
        do, it is seldom near 0 or 100.
        """
        if self.mos_range is None:
            return dict.fromkeys(COLUMNS)
        mos = self._mos(score)
        low, high = (None, None) if self.interval is None else (self._mos(score + error) for error in self.interval)
        percentile = None if self.quantiles is None else float(np.interp(mos, self.quantiles, np.arange(101)))
        return {'mos': mos, 'low': low, 'high': high, 'percentile': percentile}

    def _mos(self, score: float) -> float:
        lowest, highest = self.mos_range
        return lowest + (highest - lowest) * score


def scale_of(metric: Any) -> Scale | None:
    """The scale of a metric from ``pyiqa.create_metric``; None for metrics that are not of this package."""
    if not hasattr(metric.net, 'info') or not hasattr(metric.net, 'target'):
        return None
    info, target = metric.net.info, metric.net.target
    mos_range = tuple(info['mos_range']) if RANGE.met(info.get('mos_range')) else None
    return Scale(mos_range, info.get('interval', {}).get(target), _quantiles(info, target))


def _quantiles(info: Mapping[str, Any], target: str) -> Sequence[float] | None:
    """AGIQA-3K's, for a checkpoint that was trained on it and predicts its MOS."""
    known = description('agiqa3k')
    is_of_it = is_of_set(str(info.get('dataset', '')), 'agiqa3k') and info.get('mos_range') == known['mos_range']
    return known['quantiles'].get(target) if is_of_it else None
