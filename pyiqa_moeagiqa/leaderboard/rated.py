"""A data set for the leaderboard: images with their MOS, and the rows that were there to train on."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..data.info import dataset_info
from ..data.table import TableError, read_mos_table, read_table
from ..scoring.by_content import content_of

GROUPS = ('generator', 'style')
FEWEST = 3  # images that can be correlated


class Rated(NamedTuple):
    """A data set.

    Attributes:
        table: columns path, prompt, perhaps generator and style, and one of MOS for each of ``targets``.
        content: a hash of each image's file.
        targets: what there are MOS of.
        mos_range: the data set's, or the lowest and highest MOS there.
        training: the same columns of the rows that the split has for training; none without a split.
        split: the column of the split, or ''.
    """

    table: pd.DataFrame
    content: list[str]
    targets: list[str]
    mos_range: tuple[float, float]
    training: pd.DataFrame
    split: str = ''


def read_rated(path: Path, targets: Sequence[str], split: str | None = None) -> Rated:
    """Read a data set.

    Args:
        path: CSV, JSON lines or Parquet with columns path, prompt and at least one of the targets. A data set of this package
            is known by the file's name, and its MOS are checked against its range.
        targets: MOS columns.
        split: ``COLUMN=VALUE`` for some of the rows, as in ``prompt_0=test``; those of ``COLUMN=train`` are for baselines.

    Raises:
        TableError: for a table that cannot be used.
    """
    columns = read_table(path, ['path', 'prompt']).columns
    there = [target for target in targets if target in columns]
    if not there:
        raise TableError(f'{path}: column {targets[0]!r} is missing; there are {", ".join(map(repr, columns))}.')
    known = dataset_info().get(path.stem, {}).get('mos_range')
    table = read_mos_table(path, None, there, known or (-math.inf, math.inf))
    chosen, training, column = table, table[:0], ''
    if split is not None:
        column, _, value = split.partition('=')
        if column not in table.columns or not value:
            raise TableError(f'{path}: --split {split} must be COLUMN=VALUE with a column of the table.')
        rows = table[column].astype(str)
        chosen, training = table[rows == value], table[(rows == 'train') & (value != 'train')]
    if len(chosen) < FEWEST or chosen[there].nunique().min() < 2:
        raise TableError(
            f'{path}: {len(chosen)} images are left, too few to correlate; give at least three that differ.'
        )
    kept = [name for name in ('path', 'prompt', *GROUPS) if name in table]
    chosen, training = (rows[[*kept, *there]].reset_index(drop=True) for rows in (chosen, training))
    low, high = known or (chosen[there].min().min(), chosen[there].max().max())
    return Rated(chosen, [content_of(image) for image in chosen['path']], there, (low, high), training, column)
