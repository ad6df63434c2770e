"""The leaderboard as a table: one row for each metric and data set, best first, ties said."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from .figures import (
    DIFFERENT,
    RESAMPLES,
    agreement,
    holm,
    interval,
    p_value,
    pair_accuracy,
    regret,
    resampled,
    srcc,
    within,
)
from .run import Entry

LEVEL = 0.05
FIGURES = ('srcc', 'srcc_low', 'srcc_high', 'plcc', 'plcc_fit', 'krcc', 'rmse_fit', 'main', 'within', 'pairs', 'regret')
COLUMNS = ('data', 'metric', 'how', *FIGURES, 'against_best', 'seconds', 'parameters', 'reason')


RESAMPLES_A_METRIC = 50  # so that the smallest p-value there can be stays below LEVEL once it is corrected


def leaderboard(entries: Sequence[Entry], resamples: int = RESAMPLES) -> pd.DataFrame:
    """Columns ``COLUMNS``; within each data set the highest SRCC first, and last the rows that could not be computed.

    ``against_best`` is 'best', 'tie' where the data cannot tell the metric from the best one, or 'p = ...': bootstrap by prompt,
    two-sided, Holm's correction over the metrics of the data set, level 5 %.
    """
    parts = []
    for data in dict.fromkeys(entry.data for entry in entries):
        there = [entry for entry in entries if entry.data == data]
        parts.append(_of_one_set(there, max(resamples, RESAMPLES_A_METRIC * len(there))))
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def _of_one_set(entries: Sequence[Entry], resamples: int) -> pd.DataFrame:
    scored = {entry.metric: entry.table for entry in entries if entry.table is not None}
    values = resampled(scored, srcc, resamples) if scored else pd.DataFrame()
    rows = [_row(entry, values) for entry in entries]
    table = pd.DataFrame(rows).sort_values('srcc', ascending=False, na_position='last', kind='stable')
    ranked = [metric for metric in table['metric'] if metric in scored]
    against = {}
    if ranked:
        best, *others = ranked
        corrected = holm([p_value(values[best], values[other]) for other in others])
        against = {best: 'best'} | {other: _against(p) for other, p in zip(others, corrected, strict=True)}
    return table.assign(against_best=[against.get(metric, '') for metric in table['metric']])


def _row(entry: Entry, values: pd.DataFrame) -> dict[str, Any]:
    row = {name: getattr(entry, name) for name in ('data', 'metric', 'how', 'seconds', 'parameters', 'reason')}
    table = entry.table
    if table is None:
        return row | dict.fromkeys(FIGURES, math.nan)
    low, high = interval(values[entry.metric])
    return row | agreement(table) | {
        'srcc_low': low,
        'srcc_high': high,
        'within': within(table) if 'generator' in table else math.nan,
        'pairs': pair_accuracy(table, DIFFERENT * (entry.mos_range[1] - entry.mos_range[0])),
        'regret': regret(table),
    }  # fmt: skip


def _against(p: float) -> str:
    if math.isnan(p):
        return ''
    return 'tie' if p >= LEVEL else f'p = {p:.3f}'


def by_generator(entries: Sequence[Entry]) -> pd.DataFrame:
    """SRCC within each generator: rows data and metric, one column for each generator."""
    rows = {
        (entry.data, entry.metric): {
            name: srcc(part) for name, part in entry.table.groupby('generator') if len(part) > 2
        }
        for entry in entries
        if entry.table is not None and 'generator' in entry.table
    }
    return pd.DataFrame(rows).T


def markdown(board: pd.DataFrame) -> str:
    """For a README or a paper's appendix."""
    names = [
        'metric',
        'SRCC',
        '95 % interval',
        'PLCC',
        'PLCC, fitted',
        'KRCC',
        'within',
        'pairs',
        'regret',
        'against the best',
        'ms',
        'how',
    ]
    parts = []
    for data, rows in board.groupby('data', sort=False):
        lines = [f'### {data}', '', f'| {" | ".join(names)} |', '|---' * len(names) + '|']
        lines += [f'| {" | ".join(cells(row))} |' for row in rows.to_dict('records')]
        parts.append('\n'.join(lines))
    return '\n\n'.join(parts) + '\n'


def cells(row: dict[str, Any]) -> list[str]:
    """One row as text, in ``markdown``'s columns."""
    if row['reason']:
        return [row['metric'], *[''] * 10, row['reason'].replace('|', '/')]
    number = {name: '' if pd.isna(row[name]) else f'{row[name]:.3f}' for name in FIGURES}
    seconds = '' if pd.isna(row['seconds']) else f'{1000 * row["seconds"]:.0f}'
    return [
        row['metric'],
        number['srcc'],
        f'{number["srcc_low"]} to {number["srcc_high"]}',
        *(number[name] for name in ('plcc', 'plcc_fit', 'krcc', 'within', 'pairs', 'regret')),
        row['against_best'],
        seconds,
        row['how'],
    ]
