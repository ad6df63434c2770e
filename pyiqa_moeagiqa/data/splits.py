"""Train, validation and test rows of a data set: by prompt or by image, a pure function of the seed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

SHARES = {'train': 0.7, 'val': 0.1, 'test': 0.2}


def split_column(groups: Sequence[str], seed: int) -> list[str]:
    """'train', 'val' or 'test' for each row; rows of one group stay together.

    Args:
        groups: what must not be torn apart: the prompts, or the image names for a split by image.
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
