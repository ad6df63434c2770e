"""A data set for the leaderboard: images with their MOS, and the training rows of its split."""

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..data.columns import find_column, there_are
from ..data.info import known_range
from ..data.splits import with_folds
from ..data.table import TableError, no_such_rows, read_mos_table, read_table
from ..scoring.result import content_of
from .targets import Asked

GROUPS = ('generator', 'style')
FEWEST = 3  # images that can be correlated


class Rated(NamedTuple):
    """A data set.

    Attributes:
        table: columns path, prompt, generator and style if the data set has them, and a MOS column for each of ``targets``.
        content: a hash of each image's file, or its path if it cannot be read.
        targets: the MOS columns, and the metric's target that each is compared with.
        mos_range: the data set's, or its lowest and highest MOS.
        training: the same columns for the split's training rows; no rows without a split.
        split: the column of the split, or ''.
    """

    table: pd.DataFrame
    content: list[str]
    targets: list[Asked]
    mos_range: tuple[float, float]
    training: pd.DataFrame
    split: str = ''


def read_rated(path: Path, targets: Sequence[Asked | str], split: str | None = None) -> Rated:
    """Read a data set.

    Args:
        path: CSV, JSON lines or Parquet with columns path, prompt and at least one MOS column. A data set of this package
            is recognised by the file's name, and its MOS are checked against its range.
        targets: MOS columns, each with the metric's target that it is compared with, if that is given.
        split: ``COLUMN=VALUE`` to keep some of the rows, as in ``prompt_0=test``; those with ``COLUMN=train`` are for
            baselines.

    Raises:
        TableError: for a table that cannot be used.
    """
    there = _there(path, [Asked(asked) if isinstance(asked, str) else asked for asked in targets])
    columns = list(dict.fromkeys(asked.column for asked in there))
    known = known_range(path)
    table = read_mos_table(path, None, columns, known or (-math.inf, math.inf))
    chosen, training, split_column = table, table[:0], ''
    if split is not None:
        split_column, _, value = split.partition('=')
        table = with_folds(table, split_column, path)
        if split_column not in table.columns or not value:
            raise TableError(f'{path}: --split {split} must be COLUMN=VALUE with a column of the table.')
        rows = table[split_column].astype(str)
        chosen, training = table[rows == value], table[(rows == 'train') & (value != 'train')]
        if chosen.empty:
            raise no_such_rows(path, split_column, value, rows)
    _require_different(path, chosen, columns)
    kept = [name for name in ('path', 'prompt', *GROUPS) if name in table]
    chosen, training = (_named(rows[[*kept, *columns]].reset_index(drop=True)) for rows in (chosen, training))
    contents = [content_of(image) or image for image in chosen['path']]
    low, high = known or (chosen[columns].min().min(), chosen[columns].max().max())
    return Rated(chosen, contents, there, (low, high), training, split_column)


def _there(path: Path, targets: Sequence[Asked]) -> list[Asked]:
    """The targets for which the table has a column.

    Raises:
        TableError: if it has none, or if two names mean the same column, as mos and quality can.
    """
    table = read_table(path, ['path', 'prompt'])
    columns = {asked: find_column(table.columns, asked.column) for asked in targets}
    there = [asked for asked, column in columns.items() if column is not None]
    if not there:
        raise TableError(f'{path}: column {targets[0].column!r} is missing; {there_are(table, targets[0].column)}.')
    for one, other in combinations(there, 2):
        if columns[one] == columns[other] and one.column != other.column:
            raise TableError(
                f'{path}: --target {one.label} and {other.label} both mean column {columns[one]!r}; give only one of them.'
            )
    return there


def _require_different(path: Path, rows: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise a TableError for fewer than ``FEWEST`` rows, or for MOS that are all the same."""
    if len(rows) < FEWEST:
        raise TableError(
            f'{path}: {len(rows)} images are left, too few to correlate; give at least three that differ in MOS.'
        )
    for column in columns:
        if rows[column].nunique() < 2:
            raise TableError(
                f'{path}: all {len(rows)} images have {rows[column].iloc[0]:g} in column {column!r}, and a constant '
                'has no correlation; give images that differ in MOS.'
            )


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """The table with generators and styles as text, as Parquet can hold numbers; missing ones are ''."""
    names = {group: ['' if pd.isna(cell) else str(cell) for cell in table[group]] for group in GROUPS if group in table}
    return table.assign(**names)
