"""Several runs in one table: each run, their mean and standard deviation, and the published figures beside them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.table import Table

PUBLISHED, MEAN, DEVIATION = 'published', 'mean', 'standard deviation'


def summarise(results: Mapping[str, Mapping[str, Any]], published: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """One row per run and data set, then mean and deviation over runs, then the published figures.

    Args:
        results: run -> what ``run`` returned.
        published: data set -> metric -> value.
    """
    rows = [
        {'run': name, 'data': data, **figures}
        for name, result in results.items()
        for data, figures in result['figures'].items()
    ]
    table = pd.DataFrame(rows)
    if len(results) > 1:
        groups = table.drop(columns='run').groupby('data', sort=False)
        for label, part in ((MEAN, groups.mean()), (DEVIATION, groups.std())):
            table = pd.concat([table, part.reset_index().assign(run=label)])
    beside = pd.DataFrame([{'run': PUBLISHED, 'data': data, **figures} for data, figures in published.items()])
    return pd.concat([table, beside], ignore_index=True) if len(beside) else table.reset_index(drop=True)


def as_table(summary: pd.DataFrame) -> Table:
    """The summary for the screen."""
    table = Table()
    for column in summary.columns:
        table.add_column(column, justify='left' if column in ('run', 'data') else 'right', overflow='fold')
    for row in summary.itertuples(index=False):
        cells = [value if isinstance(value, str) else '' if pd.isna(value) else f'{value:.4f}' for value in row]
        style = {MEAN: 'bold', PUBLISHED: 'italic'}.get(str(row.run))
        table.add_row(*cells, style=style)
    return table
