"""The leaderboard's data for one metric on one data set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Entry:
    """One metric on one data set's MOS of one target.

    Attributes:
        metric, data, target: their names; the target as the user wrote it.
        table: columns path, prompt, mos, score (higher is better) and, if the data set has them, generator and style; None
            if the metric could not be made, does not score the target, left too many images without a score, or gave all
            images the same score.
        how: how the metric was trained, and other remarks on its scores.
        reason: why there is no table.
        seconds: time for one image, measured when its scores were computed; NaN if unknown.
        parameters: the number of the metric's parameters.
        mos_range: the data set's, or its lowest and highest MOS.
        lower_better: whether lower is better in the metric's own scores.
        own: the metric's own scores of all images, NaN for an image without one; None if it gave no scores at all.
        own_name: the column name of ``own``: the metric, and the target if it has several.
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

    @property
    def scored(self) -> pd.DataFrame:
        """The table of an entry that has one."""
        assert self.table is not None
        return self.table
