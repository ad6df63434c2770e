"""How well scores agree with people: the field's figures, with intervals and tests that resample whole prompts.

Higher scores must be better: negate a metric if it declares that lower is better, never because its correlation is
negative. Images of one prompt are not independent, so resampling draws prompts, not images.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from pyiqa.metrics.correlation_coefficient import (
    calculate_krcc,
    calculate_plcc,
    calculate_rmse,
    calculate_srcc,
    fit_curve,
)
from scipy.optimize import OptimizeWarning
from scipy.stats import ConstantInputWarning, NearConstantInputWarning, norm, rankdata

DIFFERENT = 0.06  # share of the MOS range, such as 0.3 of 5: raters cannot tell closer pairs apart either
RESAMPLES = 1000
FIT = 'logistic_4params'

Statistic = Callable[[pd.DataFrame], float]


def agreement(table: pd.DataFrame) -> dict[str, float]:
    """Compute SRCC, PLCC (raw, and after VQEG's four-parameter logistic fit), KRCC, RMSE after the fit, and the main score.

    Args:
        table: columns ``score`` and ``mos``, at least three rows.

    Returns:
        ``srcc``, ``plcc``, ``plcc_fit``, ``krcc``, ``rmse_fit`` (in MOS), ``main`` (mean of SRCC and raw PLCC). ``plcc_fit``
        and ``rmse_fit`` are NaN if the fit does not converge. All are NaN if scores or MOS are constant.
    """
    score, mos = table['score'].to_numpy(float), table['mos'].to_numpy(float)
    if not np.ptp(score) or not np.ptp(mos):
        return dict.fromkeys(('srcc', 'plcc', 'krcc', 'main', 'plcc_fit', 'rmse_fit'), float('nan'))
    curve = fitted(score, mos)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConstantInputWarning)  # a flat fit; its figure is NaN
        warnings.simplefilter('ignore', NearConstantInputWarning)  # scores that hardly differ
        srcc, plcc, plcc_fit = calculate_srcc(score, mos), calculate_plcc(score, mos), calculate_plcc(curve, mos)
    return {
        'srcc': float(srcc),
        'plcc': float(plcc),
        'krcc': float(calculate_krcc(score, mos)),
        'main': float(srcc + plcc) / 2,
        'plcc_fit': float(plcc_fit),
        'rmse_fit': float(calculate_rmse(curve, mos)),
    }


def fitted(score: np.ndarray, mos: np.ndarray) -> np.ndarray:
    """Map scores to MOS by VQEG's four-parameter logistic; all NaN if the fit does not converge."""
    score = (score - score.mean()) / (score.std() or 1)  # so that the fit starts near its solution
    try:
        with np.errstate(over='ignore'), warnings.catch_warnings():
            warnings.simplefilter('ignore', OptimizeWarning)  # about the parameters' covariance, which is not used
            return fit_curve(score, mos, FIT)
    except (RuntimeError, TypeError):  # scipy's, if the fit does not converge or has too few rows
        return np.full(len(mos), np.nan)


def srcc(table: pd.DataFrame) -> float:
    """Spearman's correlation of columns ``score`` and ``mos``; NaN if either is constant."""
    # Not scipy's, which would take four times as long for a thousand resamples of many metrics.
    ranks = np.stack([rankdata(table['score']), rankdata(table['mos'])])
    ranks -= ranks.mean(axis=1, keepdims=True)
    with np.errstate(invalid='ignore'):  # 0 / 0 if either is constant
        return float(ranks[0] @ ranks[1] / np.sqrt((ranks**2).sum(axis=1).prod()))


def within(table: pd.DataFrame) -> float:
    """Mean over generators of SRCC within each. Pooled SRCC flatters: generators differ more than one generator's pictures."""
    each = [srcc(part) for _, part in table.groupby('generator') if len(part) > 2]
    each = [value for value in each if not np.isnan(value)]
    return float(np.mean(each)) if each else float('nan')


def pair_accuracy(table: pd.DataFrame, different: float) -> float:
    """Share of pairs that scores put in the right order, of all pairs of one prompt more than ``different`` apart in MOS.

    A tie in scores counts half. NaN if there is no such pair.
    """
    right = total = 0.0
    for _, part in table.groupby('prompt'):
        score, mos = part['score'].to_numpy(), part['mos'].to_numpy()
        ordered = (score[:, None] - score)[mos[:, None] - mos > different]
        right += (ordered > 0).sum() + (ordered == 0).sum() / 2
        total += ordered.size
    return float(right / total) if total else float('nan')


def regret(table: pd.DataFrame) -> float:
    """Best of N: the MOS that a user loses by taking each prompt's best-scored image, on average over prompts.

    Prompts with one image do not count. If several images share the best score, their mean MOS is used.
    """
    lost = []
    for _, part in table.groupby('prompt'):
        if len(part) > 1:
            chosen = part.loc[part['score'] == part['score'].max(), 'mos'].mean()
            lost.append(part['mos'].max() - chosen)
    return float(np.mean(lost)) if lost else float('nan')


def resampled(tables: Mapping[str, pd.DataFrame], statistic: Statistic, count: int = RESAMPLES) -> pd.DataFrame:
    """Compute a statistic on ``count`` resamples of the prompts, which are the same for every table.

    If there is only one prompt, images are resampled.

    Args:
        tables: of the same images, by metric; columns score, mos and prompt.
        statistic: a function of a table with columns score and mos.
        count: the number of resamples.

    Returns:
        one row for each resample, one column for each table.
    """
    random = np.random.default_rng(0)
    rows = _rows_of_prompts(next(iter(tables.values())))
    draws = [np.concatenate([rows[n] for n in random.integers(len(rows), size=len(rows))]) for _ in range(count)]
    numbers = {name: table[['score', 'mos']] for name, table in tables.items()}
    return pd.DataFrame({name: [statistic(table.iloc[draw]) for draw in draws] for name, table in numbers.items()})


def _rows_of_prompts(table: pd.DataFrame) -> list[np.ndarray]:
    """The rows of each prompt; if all images share one prompt, or photographs have none, each image is its own group."""
    rows = list(table.reset_index(drop=True).groupby('prompt').indices.values())
    return rows if len(rows) > 1 else list(np.arange(len(table))[:, None])


def interval(values: pd.Series) -> tuple[float, float]:
    """The interval that holds the middle 95 % of the resampled values; NaN if there are none."""
    if values.isna().all():
        return float('nan'), float('nan')
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def p_value(one: pd.Series, other: pd.Series) -> float:
    """Two-sided p-value of the hypothesis that two metrics are equal, from the same resamples of both; NaN without any.

    The mean difference, divided by its standard deviation over resamples, is taken as a normal variable. Resamples in which
    either metric has no figure, such as from constant scores, do not count.
    """
    difference = (one - other).dropna()
    if difference.empty:
        return float('nan')
    mean, deviation = abs(difference.mean()), difference.std(ddof=0)
    if deviation < 1e-12:
        return 1.0 if mean < 1e-12 else 0.0
    return float(2 * norm.sf(mean / deviation))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: each returned p-value can be compared with the level as if it were the only test.

    NaN stays NaN and does not count as a test.
    """
    values = np.asarray(p_values, dtype=float)
    order = [place for place in np.argsort(values) if not np.isnan(values[place])]
    corrected, highest = np.full(len(values), np.nan), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * values[place]))
        corrected[place] = highest
    return corrected.tolist()
