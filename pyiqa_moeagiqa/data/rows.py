"""The rows that a data set takes from each of its tables, with the MOS of each table scaled by its own range."""

from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from .columns import there_are
from .options import OneTable, PromptNROptions
from .splits import with_folds
from .table import Check, TableError, as_numbers, no_such_rows, read_with_range, require


class Rows(NamedTuple):
    """The rows of one table.

    Attributes:
        name: the table's, without folder and ending.
        table: columns path and prompt, one for each target, and the table's others; N rows.
        mos_range: the MOS that become 0 and 1.
        mos: (N, targets), scaled to [0, 1].
        weight: (N, targets), each label's weight in the loss; the mean over N is 1.
        deviation: (N, targets), the raters' standard deviation on the scale of ``mos``; 0 where the table has none.
    """

    name: str
    table: pd.DataFrame
    mos_range: tuple[float, float]
    mos: Tensor
    weight: Tensor
    deviation: Tensor


def rows_of(options: PromptNROptions, phase: str) -> list[Rows]:
    """Read each table of a data set, and choose the rows of its split.

    Raises:
        TableError: for a table that cannot be used, or an image that is in two of them.
    """
    rows = [_rows(options, one, phase) for one in options.tables()]
    paths = pd.concat([part.table['path'] for part in rows])
    if paths.duplicated().any():
        twice = paths[paths.duplicated()].iloc[0]
        raise TableError(f'{twice}: this image is in two of the tables; take it out of one.')
    return rows


def _rows(options: PromptNROptions, one: OneTable, phase: str) -> Rows:
    targets = list(options.targets)
    whole, (low, high) = read_with_range(one.file, one.folder, targets, one.mos_range)
    table = _of_split(whole, options, one.file, phase)
    mos = torch.tensor((table[targets].to_numpy(dtype=float) - low) / (high - low)).float()
    weight = _weights(table, one.file, targets) if options.weight_by_std else torch.ones_like(mos)
    return Rows(one.name, table, (low, high), mos, weight, _deviations(table, targets) / (high - low))


def _of_split(table: pd.DataFrame, options: PromptNROptions, file: str, phase: str) -> pd.DataFrame:
    column, split = _split_column(options), options.split or phase
    if split == 'all':
        return table
    table = with_folds(table, column, file)
    if column not in table.columns:
        if options.split_column or options.split:
            known = there_are(list(table.columns), column)
            raise TableError(f'{file}: split column {column!r} is missing; {known}.')
        return table
    chosen = table[table[column].isin([split] if isinstance(split, str) else split)].reset_index(drop=True)
    if chosen.empty:
        raise no_such_rows(file, column, split, table[column])
    return chosen


def _split_column(options: PromptNROptions) -> str:
    column, number = options.split_column or 'split', options.split_index
    return column if number is None else f'{column.rstrip("0123456789")}{number - 1}'


def _weights(table: pd.DataFrame, file: str, targets: list[str]) -> Tensor:
    columns = [f'{target}_std' for target in targets]
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise TableError(f'{file}: weight_by_std needs column {missing[0]!r}, which is missing.')
    deviations = table[columns].apply(as_numbers)
    for column in columns:
        problem = f'column {column!r} holds no deviation above 0'
        require(file, table, Check(deviations[column] > 0, problem, column))
    weight = 1 / torch.tensor(deviations.to_numpy()).float()
    return weight / weight.mean(dim=0)


def _deviations(table: pd.DataFrame, targets: list[str]) -> Tensor:
    """The columns ``TARGET_std``, in the table's units; 0 for a column that is not there, and a cell that is no such number."""
    columns = table.reindex(columns=[f'{target}_std' for target in targets]).apply(as_numbers)
    return torch.tensor(columns.to_numpy()).float().nan_to_num(0, posinf=0, neginf=0).clamp(min=0)
