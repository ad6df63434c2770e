"""What the leaderboard knows of one metric on one data set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Entry:
    """One metric on one data set's MOS of one target.

    Attributes:
        metric, data, target: their names; the target as it was asked for.
        table: columns path, prompt, mos, score (higher is better) and, where the data set has them, generator and style; None
            where the metric could not be had, left images without a score, or gave all of them the same.
        how: how it came to its scores.
        reason: why there is no table.
        seconds: an image, when its scores were computed.
        parameters: of the metric.
        mos_range: the data set's, or the lowest and highest MOS there.
        lower_better: whether the metric's own scores are the better the lower.
        own: the metric's own scores of all images, NaN where it has none; None where it could not be had.
        own_name: what they are called: the metric, and the target where it has several.
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
    lower_better: bool = False
    own: Sequence[float] | None = None
    own_name: str = ''
