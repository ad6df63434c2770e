"""The ablations as a Markdown table: mean over seeds and splits with an interval, and the published figures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t

from .table import Row

METRICS = ('srcc', 'plcc', 'alignment_srcc')


def interval(values: pd.Series) -> float:
    """Half the width of the 95 % interval of a mean over splits (t distribution): seeds of one split are averaged first."""
    count = len(values)
    return float(t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count)) if count > 1 else float('nan')


def markdown(figures: pd.DataFrame, rows: Sequence[Row]) -> str:
    """One table for each of the paper's, rows in the paper's order; ``figures`` has columns table, row, run and metrics."""
    figures = figures.assign(split=figures['run'].str.split('-', n=1).str[1])
    parts = []
    for table in dict.fromkeys(row.table for row in rows):
        lines = [
            f'### Table {table}',
            '',
            '| | SRCC | PLCC | alignment SRCC | published SRCC / PLCC |',
            '|---|---|---|---|---|',
        ]
        for row in rows:
            chosen = figures[(figures['table'] == table) & (figures['row'] == row.name)] if row.table == table else ()
            if len(chosen):
                lines.append(_line(row, chosen.groupby('split')[list(METRICS)].mean()))
        parts.append('\n'.join(lines))
    return '\n\n'.join(parts) + '\n'


def _line(row: Row, by_split: pd.DataFrame) -> str:
    cells = [f'{by_split[name].mean():.3f} ± {interval(by_split[name]):.3f}' for name in METRICS]
    published = f'{row.published[0]:.4f} / {row.published[1]:.4f}' if row.published else ''
    return f'| {row.name} | {" | ".join(cells)} | {published} |'
