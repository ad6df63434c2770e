"""Train, validation and test rows of a data set: ten splits by image and ten by prompt, and folds, pure functions of the seed.

A column of folds, such as ``prompt_5folds_seed0_2`` (the third of five), is made from any table when it is asked for. A split file (``datasets_meta/splits/NAME.csv``) has one row per image. A cell holds one letter per split:
r for train, v for val, e for test.
"""

import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from .info import description, shared_folder
from .table import TableError

SHARES = {'train': 0.7, 'val': 0.1, 'test': 0.2}
LETTERS = {'r': 'train', 'v': 'val', 'e': 'test', ' ': ''}
SEEDS = range(10)
ALL_FOLDS = r'(prompt|image)_(\d{1,4})folds_seed(\d{1,9})'
RANDOM, GIVEN = ('image', 'prompt'), ('official', 'released')


def split_column(groups: Sequence[str], seed: int) -> list[str]:
    """'train', 'val' or 'test' for each row; rows of one group stay together.

    Args:
        groups: the group of each row: its prompt, or its image name for a split by image.
        seed: the same seed and groups give the same split on every machine.

    Example:
        >>> sorted(set(split_column([f'prompt {n}' for n in range(100)], seed=1)))
        ['test', 'train', 'val']
    """
    names = sorted(set(groups))
    order = np.random.RandomState(seed).permutation(len(names))
    return _parts(groups, names, order, round(SHARES['test'] * len(names)))


class Fold(NamedTuple):
    """What the name of a column of folds says.

    Attributes:
        by: 'prompt' or 'image': what stays together.
        folds: how many there are.
        seed: decides which groups are in which fold.
        number: the fold that is the test split, from 0.
    """

    by: str
    folds: int
    seed: int
    number: int


def columns_of_folds(name: str) -> list[str]:
    """The columns of all folds that a name stands for, such as prompt_5folds_seed0_0 to _4; none for another name.

    Example:
        >>> columns_of_folds('image_2folds_seed7')
        ['image_2folds_seed7_0', 'image_2folds_seed7_1']
    """
    found = re.fullmatch(ALL_FOLDS, name, re.ASCII)
    return [f'{name}_{number}' for number in range(int(found[2]))] if found else []


def fold_named(column: str) -> Fold | None:
    """Read the name of a column of folds, such as 'prompt_5folds_seed0_2'; None for another name.

    Raises:
        TableError: for the name of a fold that cannot be.
    """
    found = re.fullmatch(rf'{ALL_FOLDS}_(\d{{1,4}})', column, re.ASCII)
    if not found:
        return None
    fold = Fold(found[1], *map(int, found.groups()[1:]))
    if fold.number >= fold.folds or fold.folds < 2:
        raise TableError(
            f'{column}: there are at least 2 folds, counted from 0; the last of five is prompt_5folds_seed0_4.'
        )
    return fold


def fold_column(groups: Sequence[str], fold: Fold) -> list[str]:
    """'train', 'val' or 'test' for each row; rows of one group stay together, and each group is in the test split of one fold.

    The groups after a fold's own, in the seed's order, are its validation split: a tenth of all.
    """
    names = sorted(set(groups))
    begin, end = (round(len(names) * number / fold.folds) for number in (fold.number, fold.number + 1))
    order = np.roll(np.random.RandomState(fold.seed).permutation(len(names)), -begin)
    return _parts(groups, names, order, end - begin)


def _parts(groups: Sequence[str], names: Sequence[str], order: np.ndarray, test: int) -> list[str]:
    """The part of each row: in this order, the first ``test`` groups are for testing, and the next for validation."""
    val = round(SHARES['val'] * len(names))
    part = {
        names[i]: 'test' if rank < test else 'val' if rank < test + val else 'train' for rank, i in enumerate(order)
    }
    return pd.Series(groups).map(part).tolist()


def with_folds(table: pd.DataFrame, column: str, file: Path | str) -> pd.DataFrame:
    """The table, with a column of folds if ``column`` is the name of one that it lacks.

    Args:
        table: columns path and prompt; images are told apart by the names of their files, wherever these lie.
        column: any name.
        file: the table's, for messages.

    Raises:
        TableError: for fewer prompts or images than folds.
    """
    fold = fold_named(column) if column not in table.columns else None
    if fold is None:
        return table
    groups = table['prompt'] if fold.by == 'prompt' else table['path'].map(lambda path: Path(path).name)
    if groups.nunique() < fold.folds:
        others = ', or split by image' if fold.by == 'prompt' else ''
        raise TableError(
            f'{file}: {column} needs at least {fold.folds} different {fold.by}s, and there are {groups.nunique()}; make fewer '
            f'folds{others}.'
        )
    return table.assign(**{str(column): fold_column(groups.tolist(), fold)})


def make_splits(pictures: pd.DataFrame) -> pd.DataFrame:
    """Make the content of a split file from a table with ``name``, ``prompt`` and the splits that came with the data.

    Without prompts, the result has no column ``prompt``.
    """
    letters = pd.DataFrame({'name': pictures['name'], 'image': _letters(pictures['name'])})
    if pictures['prompt'].any():
        letters['prompt'] = _letters(pictures['prompt'])
    given = [kind for kind in GIVEN if kind in pictures.columns]
    return letters.join(pictures[given])


def _letters(groups: pd.Series) -> list[str]:
    letter = {part: letter for letter, part in LETTERS.items()}
    columns = [split_column(groups.tolist(), seed) for seed in SEEDS]
    return [''.join(letter[part] for part in row) for row in zip(*columns, strict=True)]


def read_splits(name: str) -> pd.DataFrame:
    """Read the split file of a data set, indexed by image name.

    Raises:
        TableError: if the file is missing, or its SHA-256 is not the one in the data set's description.
    """
    file = shared_folder('datasets_meta') / 'splits' / f'{name}.csv'
    content = file.read_bytes() if file.is_file() else b''
    if hashlib.sha256(content).hexdigest() != description(name)['splits']['sha256']:
        raise TableError(f'{file}: it was changed or is missing; install the package again.')
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False).set_index('name')


def split_columns(pictures: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Make columns of 'train', 'val' and 'test': ``image_0`` to ``image_9``, ``prompt_0`` ..., and the given splits.

    A picture that is not in ``splits`` gets empty cells in the image and prompt columns.
    """
    known = splits.reindex(pictures['name']).fillna(' ' * len(SEEDS)).reset_index(drop=True)
    kinds = {kind: known[kind] for kind in RANDOM if kind in known}
    kinds |= {kind: pictures[kind].reset_index(drop=True) for kind in GIVEN if kind in pictures}
    return pd.concat([_words(kind, letters) for kind, letters in kinds.items()], axis=1)


def _words(kind: str, letters: pd.Series) -> pd.DataFrame:
    rows = [[LETTERS[letter] for letter in cell] for cell in letters]
    names = ['official'] if kind == 'official' else [f'{kind}_{seed}' for seed in SEEDS]
    return pd.DataFrame(rows, columns=names)


def split_file_text(splits: pd.DataFrame) -> str:
    """Format a split file, with the same bytes on every system."""
    return splits.to_csv(index=False, lineterminator='\n')
