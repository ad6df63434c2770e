"""Train, validation and test rows of a data set: ten splits by image and ten by prompt, pure functions of the seed.

A split file (``datasets_meta/splits/NAME.csv``) has one row per image. A cell holds one letter per split:
r for train, v for val, e for test.
"""

import hashlib
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd

from .info import description, shared_folder
from .table import TableError

SHARES = {'train': 0.7, 'val': 0.1, 'test': 0.2}
LETTERS = {'r': 'train', 'v': 'val', 'e': 'test', ' ': ''}
SEEDS = range(10)
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
    test, val = round(SHARES['test'] * len(names)), round(SHARES['val'] * len(names))
    part = {
        names[i]: 'test' if rank < test else 'val' if rank < test + val else 'train' for rank, i in enumerate(order)
    }
    return pd.Series(groups).map(part).tolist()


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
