"""Compares two generators on the same prompts: how often one wins, by how much, and whether that can be chance.

Prompts count, not images: several images of one prompt are not independent, so each prompt gives one difference, between
the mean scores of the two sides' images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm, rankdata, wilcoxon

from .statistics import RESAMPLES, interval

LEVEL = 0.05
# The fewest differing pairs that can be significant. By chance each of n pairs favours either side with probability 1/2. The
# most extreme outcome of Wilcoxon's signed ranks and of the sign test is a clean sweep, with p = 2 / 2^n. Below six pairs
# even that has p > 0.05.
FEWEST = next(n for n in count(1) if 2 * 0.5**n < LEVEL)


@dataclass
class Comparison:
    """The result of ``compare_scores``.

    Attributes:
        pairs: one row for each prompt (or file name) that both have, sorted by difference with the first generator's largest
            win first: ``key``, ``one`` and ``other`` (mean scores), ``difference`` (positive if the first is better),
            ``images_one`` and ``images_other`` (how many), ``path_one`` and ``path_other`` (the image nearest the mean).
        left_out: for each side, the keys that only it has.
        win_rate: share of pairs that the first wins; a tie counts half.
        win_interval: Wilson's 95 % interval of ``win_rate``.
        difference: mean over the pairs, in units of the score.
        difference_interval: percentile bootstrap over the pairs, 95 %.
        p_difference: Wilcoxon's signed-rank test, two-sided.
        p_wins: sign test, two-sided; ties do not count there.
        better: 0 or 1 if the signed ranks favour that side and ``p_difference`` is below 5 %, else None.
    """

    pairs: pd.DataFrame
    left_out: tuple[list[str], list[str]]
    win_rate: float
    win_interval: tuple[float, float]
    difference: float
    difference_interval: tuple[float, float]
    p_difference: float
    p_wins: float
    better: int | None

    @property
    def too_few(self) -> bool:
        """Whether fewer than ``FEWEST`` pairs differ, so that even a clean sweep would not be significant."""
        return _decided(self.pairs['difference']) < FEWEST


def compare_scores(sides: Sequence[pd.DataFrame], lower_better: bool = False) -> Comparison:
    """Pair two tables of scores and test the differences.

    Args:
        sides: two tables with columns ``key`` (what pairs), ``path`` and ``score``.
        lower_better: whether lower scores are better; differences then change sign, and scores stay.

    Raises:
        ValueError: if no key is in both tables.

    Example:
        >>> one = pd.DataFrame({'key': ['a cat', 'a dog'], 'path': ['1.png', '2.png'], 'score': [0.5, 0.7]})
        >>> compare_scores([one, one.assign(score=0.4)]).win_rate
        1.0
    """
    one, other = (_by_key(side) for side in sides)
    pairs = one.merge(other, on='key', suffixes=('_one', '_other')).reset_index()
    if pairs.empty:
        raise ValueError('The two sides have no prompt and no file name in common.')
    pairs['difference'] = (pairs['score_one'] - pairs['score_other']) * (-1 if lower_better else 1)
    pairs = pairs.rename(columns={'score_one': 'one', 'score_other': 'other'})
    pairs = pairs.sort_values(['difference', 'key'], ascending=[False, True]).reset_index(drop=True)
    difference = pairs['difference'].to_numpy()
    wins = float(((difference > 0) + (difference == 0) / 2).sum())
    p_difference, side = signed_ranks(difference)
    return Comparison(
        pairs=pairs,
        left_out=(sorted(one.index.difference(other.index)), sorted(other.index.difference(one.index))),
        win_rate=wins / len(pairs),
        win_interval=wilson(wins, len(pairs)),
        difference=float(difference.mean()),
        difference_interval=_mean_interval(difference),
        p_difference=p_difference,
        p_wins=sign_test(difference),
        better=side if p_difference < LEVEL and _decided(pairs['difference']) >= FEWEST else None,
    )


def _decided(difference: pd.Series) -> int:
    """The number of pairs that differ: ties do not enter the tests."""
    return int((difference != 0).sum())


def _by_key(side: pd.DataFrame) -> pd.DataFrame:
    """Mean score, number of images and the path of the one nearest the mean, by key."""
    mean = side.groupby('key')['score'].transform('mean')
    nearest = side.assign(distance=(side['score'] - mean).abs()).sort_values(['distance', 'path']).groupby('key')
    return pd.DataFrame({'score': nearest['score'].mean(), 'images': nearest.size(), 'path': nearest['path'].first()})


def wilson(wins: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion; ``wins`` can hold halves, for ties."""
    z = norm.ppf(0.975)
    rate, spread = wins / count, z * z / count
    middle = (rate + spread / 2) / (1 + spread)
    half = math.sqrt(rate * (1 - rate) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _mean_interval(values: np.ndarray) -> tuple[float, float]:
    draws = np.random.default_rng(0).integers(len(values), size=(10 * RESAMPLES, len(values)))
    return interval(pd.Series(values[draws].mean(axis=1)))


def signed_ranks(difference: np.ndarray) -> tuple[float, int]:
    """Wilcoxon's two-sided p-value, and which side the ranks favour: 0 for positive differences, else 1."""
    if not difference.any():
        return 1.0, 0
    decided = difference[difference != 0]
    favour = np.sign(decided) @ rankdata(np.abs(decided))
    return float(wilcoxon(decided).pvalue), int(favour < 0)


def sign_test(difference: np.ndarray) -> float:
    """Two-sided p-value of the sign test: wins among the differences that are not zero."""
    wins, decided = int((difference > 0).sum()), int((difference != 0).sum())
    return float(binomtest(wins, decided).pvalue) if decided else 1.0
