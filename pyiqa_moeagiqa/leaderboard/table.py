"""The leaderboard as tables: one row for each metric, data set and target, the best first, with ties marked."""

import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from importlib import resources
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd
import yaml

from .entry import Entry
from .rated import GROUPS, Rated
from .statistics import (
    DIFFERENT,
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

LEVEL = 0.05
FIGURES = ('srcc', 'srcc_low', 'srcc_high', 'plcc', 'plcc_fit', 'krcc', 'rmse_fit', 'main', 'within', 'pairs', 'regret')
NAMES = ('data', 'target', 'metric')
IN_TERMINAL = ('metric', 'SRCC', '95 %', 'best?', 'PLCC', 'within', 'pairs', 'regret')  # columns of ``shown``
COLUMNS = (*NAMES, 'how', *FIGURES, 'against_best', 'seconds', 'parameters', 'reason')


class Board(NamedTuple):
    """The result of ``board_of``.

    Attributes:
        rows: columns ``COLUMNS``; within each data set and target the highest SRCC first, and rows without figures last.
            ``against_best`` is 'best', 'tie' if the data cannot tell the metric from the best one, or 'p = ...'.
        tests: one row for every two metrics of a data set and target: columns data, target, metric, other, difference (in
            SRCC), low, high (95 % interval) and p. The test is a paired, two-sided bootstrap by prompt, with Holm's correction
            over the pairs.
    """

    rows: pd.DataFrame
    tests: pd.DataFrame


def board_of(entries: Sequence[Entry]) -> Board:
    """Compute the figures of all entries, and the tests between them."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.data, entry.target), []).append(entry)
    boards = [_of_one_set(group) for group in groups.values()]
    rows = pd.concat([board.rows for board in boards], ignore_index=True)[list(COLUMNS)]
    return Board(rows, pd.concat([board.tests for board in boards], ignore_index=True))


def _of_one_set(entries: Sequence[Entry]) -> Board:
    scored = {entry.metric: entry.table for entry in entries if entry.table is not None}
    values = resampled(scored, srcc) if scored else pd.DataFrame()
    rows = pd.DataFrame([_row(entry, values) for entry in entries])
    rows = rows.sort_values('srcc', ascending=False, na_position='last', kind='stable')
    ranked = [metric for metric in rows['metric'] if metric in scored]
    tests = _tests(ranked, values, dict(zip(rows['metric'], rows['srcc'], strict=True)))
    against = dict.fromkeys(ranked[:1], 'best')
    pairs = zip(tests['metric'], tests['other'], tests['p'], strict=True)
    against |= {other: _against(p) for metric, other, p in pairs if metric == ranked[0]}
    tests.insert(0, 'data', entries[0].data)
    tests.insert(1, 'target', entries[0].target)
    return Board(rows.assign(against_best=[against.get(metric, '') for metric in rows['metric']]), tests)


def _row(entry: Entry, values: pd.DataFrame) -> dict[str, Any]:
    row = {
        name: getattr(entry, name) for name in ('data', 'target', 'metric', 'how', 'seconds', 'parameters', 'reason')
    }
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


def _tests(ranked: Sequence[str], values: pd.DataFrame, figures: dict[str, float]) -> pd.DataFrame:
    tests = []
    for metric, other in combinations(ranked, 2):
        low, high = interval(values[metric] - values[other])
        tests.append(
            (metric, other, figures[metric] - figures[other], low, high, p_value(values[metric], values[other]))
        )
    table = pd.DataFrame(tests, columns=['metric', 'other', 'difference', 'low', 'high', 'p'])
    return table.assign(p=holm(table['p']))


def _against(p: float) -> str:
    if math.isnan(p):
        return ''
    if p >= LEVEL:
        return 'tie'
    return 'p < 0.001' if p < 0.001 else f'p = {p:.3f}'


def by_group(entries: Sequence[Entry], group: str) -> pd.DataFrame:
    """SRCC within each generator or prompt style: one row for each data set, target and metric, one column for each group.

    Groups of fewer than three images are left out.
    """
    rows = [
        {name: getattr(entry, name) for name in NAMES} | _of_groups(entry.table, group, srcc)
        for entry in entries
        if entry.table is not None and group in entry.table
    ]
    return pd.DataFrame(rows)


def _of_groups(table: pd.DataFrame, group: str, figure: Callable[[pd.DataFrame], float]) -> dict[Hashable, float]:
    parts = {name or f'no {group}': part for name, part in table.groupby(group) if len(part) > 2}
    return {f'{group} {name}' if name in NAMES else name: figure(part) for name, part in parts.items()}


def groups_there(entries: Sequence[Entry]) -> list[str]:
    """Those of ``GROUPS`` for which at least two groups have figures."""
    return [group for group in GROUPS if by_group(entries, group).shape[1] > len(NAMES) + 1]


def across(rows: pd.DataFrame) -> pd.DataFrame:
    """SRCC of metrics and checkpoints against data sets, as in the paper's Table 4; empty for fewer than two data sets.

    Returns:
        target and metric as columns, then one column for each data set.
    """
    if rows['data'].nunique() < 2:
        return pd.DataFrame()
    table = rows.pivot(index=['target', 'metric'], columns='data', values='srcc')
    return table[list(dict.fromkeys(rows['data']))].dropna(how='all').reset_index().rename_axis(columns=None)


def published(rows: pd.DataFrame) -> pd.DataFrame:
    """Figures that other authors published on the data sets and targets of ``rows``.

    Returns:
        columns data, target, metric, srcc, plcc, main, protocol and source.
    """
    text = (resources.files(__package__) / 'published.yml').read_text(encoding='utf-8')
    known, found = yaml.safe_load(text), []
    for data, target in rows[['data', 'target']].drop_duplicates().itertuples(index=False):
        found += [{'data': data, 'target': target, **row} for row in known.get(data, {}).get(target, [])]
    columns = ['data', 'target', 'metric', 'srcc', 'plcc', 'main', 'protocol', 'source']
    return pd.DataFrame(found, columns=columns)


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one data set and target that have figures, as text for display: rounded, with the intervals."""
    rows = rows[rows['reason'] == '']
    text = {name: [_rounded(value) for value in rows[name]] for name in FIGURES}
    low_high = zip(text['srcc_low'], text['srcc_high'], strict=True)
    return pd.DataFrame(
        {
            'metric': rows['metric'].tolist(),
            'SRCC': text['srcc'],
            '95 %': [f'{low} to {high}' if low else '' for low, high in low_high],
            'best?': rows['against_best'].tolist(),
            'within': text['within'],
            'pairs': text['pairs'],
            'regret': text['regret'],
            'PLCC': text['plcc'],
            'PLCC fit': text['plcc_fit'],
            'KRCC': text['krcc'],
            'RMSE fit': text['rmse_fit'],
            'main': text['main'],
            'ms': ['' if math.isnan(value) else f'{1000 * value:.0f}' for value in rows['seconds']],
            'M par.': [f'{value / 1e6:.1f}' if value else '' for value in rows['parameters']],
            'how': rows['how'].tolist(),
        }
    )


def missing(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """The metrics that have no figures, each with the reason."""
    there = rows[rows['reason'] != '']
    return list(zip(there['metric'], there['reason'], strict=True))


def _rounded(value: float) -> str:
    return '' if pd.isna(value) else f'{value:.3f}'


def scores(entries: Sequence[Entry], data: Mapping[str, Rated]) -> pd.DataFrame:
    """Make a table with one row for each image.

    Its columns are data, path, prompt, generator and style if the data set has them, the MOS of each target, and the scores of
    each metric and target as the metric gave them, with their own sign. Missing values are NaN.
    """
    tables = []
    for name, rated in data.items():
        mos = {asked.column: f'MOS {asked.column}' for asked in rated.targets}
        table = rated.table.rename(columns=mos)
        table.insert(0, 'data', name)
        there = {(entry.metric, entry.own_name): entry.own for entry in entries if entry.data == name}
        for (_, column), own in there.items():
            if own is not None:
                table[_unused(column, table.columns)] = own
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _unused(name: str, names: Collection[str]) -> str:
    """The name, with 'score ' in front if a column has it already: a user can label a metric 'path'."""
    while name in names:
        name = f'score {name}'
    return name


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """A table of figures as rounded text; missing values are empty."""
    return table.map(lambda cell: cell if isinstance(cell, str) else _rounded(cell))
