"""Several runs in one table: each run, what sums them up, and the published figures beside them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from scipy.stats import t as student

PUBLISHED = 'published'
MEAN, DEVIATION, MEDIAN, LOW, HIGH = 'mean', 'standard deviation', 'median', '95 % low', '95 % high'
LEVEL = 0.95
FEW = 10  # images; of fewer, even a correlation of 0.6 can be chance


def summarise(
    results: Mapping[str, Mapping[str, Any]], published: Mapping[str, Mapping[str, float]], note: str = ''
) -> pd.DataFrame:
    """One row per run and data set, then those of ``over_runs``, then the published figures.

    Args:
        results: run -> what ``run`` returned.
        published: data set -> metric -> value.
        note: on the figures of all runs, for a column of that name.
    """
    rows = [
        {'run': name, 'data': data, **figures}
        for name, result in results.items()
        for data, figures in result['figures'].items()
    ]
    table = pd.DataFrame(rows)
    if len(results) > 1:
        groups = table.drop(columns='run').groupby('data', sort=False)
        for label, part in over_runs(groups).items():
            table = pd.concat([table, part.reset_index().assign(run=label)])
    if note:
        table['note'] = note
    beside = pd.DataFrame([{'run': PUBLISHED, 'data': data, **figures} for data, figures in published.items()])
    return pd.concat([table, beside], ignore_index=True) if len(beside) else table.reset_index(drop=True)


def too_few(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each data set with so few images that its correlations say little."""
    counts: dict[str, int] = {}
    for result in results:
        for data, count in result.get('images', {}).items():
            counts[data] = min(count, counts.get(data, count))
    return [
        f'{data} has {count} images: correlations over fewer than {FEW} say little.'
        for data, count in counts.items()
        if count < FEW
    ]


def over_runs(figures: Any) -> dict[str, Any]:
    """Mean, standard deviation and median over runs, and the interval of the mean by Student's t distribution.

    Args:
        figures: one row for each run, a column for each metric; or such tables in groups.
    """
    mean, deviation, count = figures.mean(), figures.std(), figures.count()
    half = student.ppf((1 + LEVEL) / 2, count - 1) * deviation / np.sqrt(count)
    return {MEAN: mean, DEVIATION: deviation, MEDIAN: figures.median(), LOW: mean - half, HIGH: mean + half}


def as_table(summary: pd.DataFrame) -> Table:
    """The summary for the screen: a section for each data set, in place of a column of its name."""
    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )  # six figures of two targets fit into 80 columns
    table.add_column('run', overflow='fold')
    metrics = [name for name in summary.columns if name not in ('run', 'data', 'note')]
    for name in metrics:
        table.add_column(name.replace('_', '\n'), justify='right')
    for data, rows in summary.groupby('data', sort=False):
        table.add_row(str(data), style='bold')
        for run, figures in zip(rows['run'], rows[metrics].to_numpy(), strict=True):
            cells = ['' if pd.isna(value) else f'{value:.4f}' for value in figures]
            table.add_row(f' {run}', *cells, style={MEAN: 'bold', PUBLISHED: 'italic'}.get(run))
    return table
