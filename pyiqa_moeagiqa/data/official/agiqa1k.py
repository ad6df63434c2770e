"""AGIQA-1K: ``AGIQA-1K.mat``.

The download also has ``AIGC_MOS_Zscore.xlsx`` with the same names, prompts and MOS; only the ``.mat`` has the released
splits. ``AIGC_all.csv`` holds other, raw scores (rank correlation with the MOS: .81), which no paper uses.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..table import TableError
from .files import INSTALL, find_file

RELEASED, TRAIN_SHARE = 10, 0.8
# Both official files have this name twice, with MOS 0.44 and 2.08, but dreamStudio_8_5_0_0.jpg is missing in them. Nothing
# tells which of the two rows belongs to which image, so neither row is used.
AMBIGUOUS = 'dreamStudio_8_9_1_1.jpg'


def read(source: Path) -> pd.DataFrame:
    """Read names such as ``deepai_0_3_1_0.jpg``: the generator's site, then the numbers of the prompt's parts.

    Raises:
        TableError: for a file that is missing or is not that ``.mat``, or if h5py is not installed.
    """
    file = find_file(source, 'AGIQA-1K.mat')
    names, prompts, mos, index = _read_mat(file)
    rows = {'file': str(file), 'row': range(1, len(names) + 1), 'name': names, 'prompt': prompts, 'quality': mos}
    table = pd.DataFrame(rows).assign(released=_released(index))
    table['generator'] = table['name'].str.replace(r'_.*', '', regex=True)
    return table[table['name'] != AMBIGUOUS].reset_index(drop=True)


def _read_mat(file: Path) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    try:
        import h5py
    except ImportError:
        raise TableError(f'{file}: reading it needs h5py; {INSTALL}') from None
    try:
        with h5py.File(file) as mat:
            names, prompts = ([_text(mat[cell]) for cell in mat[key][0]] for key in ('im_names', 'text_prompt'))
            return names, prompts, mat['subjective_scores'][0], mat['index'][()]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise TableError(f'{file}: it is not the official AGIQA-1K.mat ({error}).') from None


def _text(cell: Any) -> str:
    return ''.join(map(chr, cell[()].ravel()))


def _released(index: np.ndarray) -> list[str]:
    """Read the splits: each column of the index permutes the image numbers 1, 2, ...; the first 80 % are for training."""
    ranks = np.argsort(index[:, :RELEASED], axis=0)
    train = ranks < round(TRAIN_SHARE * len(index))
    return [''.join('r' if part else 'e' for part in row) for row in train]
