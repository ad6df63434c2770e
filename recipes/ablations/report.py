"""The ablations as a Markdown table: mean over seeds and splits with an interval, and the published figures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t

from .table import BASE, Row

METRICS = ('srcc', 'plcc', 'alignment_srcc')


def interval(values: pd.Series) -> float:
    """Half the width of the 95 % interval of a mean over splits (t distribution): seeds of one split are averaged first."""
    count = len(values)
    return float(t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count)) if count > 1 else float('nan')


def markdown(figures: pd.DataFrame, rows: Sequence[Row]) -> str:
    """One table for each of the paper's, rows in the paper's order; ``figures`` has columns table, row, run and metrics.

    The last column but one is the difference in SRCC to ``BASE`` on the same split with the same seed: it is known better
    than the two SRCC are, as splits differ more than networks do.
    """
    base = figures[(figures['table'] == BASE.table) & (figures['row'] == BASE.name)].set_index('run')['srcc']
    figures = figures.assign(difference=figures['srcc'] - figures['run'].map(base))
    parts = []
    for table in dict.fromkeys(row.table for row in rows):
        lines = [
            f'### Table {table}',
            '',
            '| | SRCC | PLCC | alignment SRCC | difference in SRCC | published SRCC / PLCC |',
            '|---|---|---|---|---|---|',
        ]
        for row in rows:
            chosen = figures[(figures['table'] == table) & (figures['row'] == row.name)]
            if len(chosen):
                published = f'{row.published[0]:.4f} / {row.published[1]:.4f}' if row.published else ''
                difference = _cells(chosen, ['difference'], '+.3f') if row.changes else ['']
                lines.append(f'| {row.name} | {" | ".join(_cells(chosen) + difference)} | {published} |')
        parts.append('\n'.join(lines))
    return '\n\n'.join(parts) + '\n'


def crops_markdown(figures: pd.DataFrame) -> str:
    """Crops in testing against the metrics; ``figures`` has columns crops, run and metrics."""
    lines = [
        '### Crops in testing, beside the view',
        '',
        '| crops | SRCC | PLCC | alignment SRCC |',
        '|---|---|---|---|',
    ]
    for count, chosen in figures.groupby('crops'):
        lines.append(f'| {count} | {" | ".join(_cells(chosen))} |')
    return '\n'.join(lines) + '\n'


def _cells(figures: pd.DataFrame, names: Sequence[str] = METRICS, form: str = '.3f') -> list[str]:
    by_split = figures.groupby(figures['run'].str.split('-', n=1).str[1])[list(names)].mean()
    return [f'{by_split[name].mean():{form}} ± {interval(by_split[name]):.3f}' for name in names]
