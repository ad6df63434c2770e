"""AIGCIQA2023: three MATLAB files of MOS, and two Excel sheets with the picture and the prompt of each row."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..table import Check, TableError, require
from .files import find_file, read_column, read_sheet

PROMPTS, IMAGES_PER_PROMPT = 100, 4
# The numbers in the names mosz1.mat, mosz2.mat and mosz3.mat; this package calls 'correspondence' alignment.
TARGETS = {1: 'quality', 2: 'authenticity', 3: 'alignment'}


def read(source: Path) -> pd.DataFrame:
    """Read the pictures with their MOS, and the deviations of ratings from 1 to 5 if ``SD1.mat`` and the like exist.

    Raises:
        TableError: for a file that is missing or holds something else.
    """
    table = read_pictures(source)
    for number, target in TARGETS.items():
        table[target] = read_column(find_file(source, f'mosz{number}.mat'), 'MOSz', len(table))
        if any(source.rglob(f'SD{number}.mat')):
            table[f'{target}_std'] = read_column(find_file(source, f'SD{number}.mat'), 'SD', len(table))
    return table


def read_pictures(source: Path) -> pd.DataFrame:
    """Read the pictures in the order of the MOS: generator by generator, prompt by prompt, four pictures per prompt.

    A name is ``Controlnet/000-1.png``, for example; the folder ``allimg`` has the same pictures as ``0.png``, ``1.png`` ...

    Raises:
        TableError: for a missing or wrong file, and for a picture whose number is not that of the prompt at its place.
    """
    file = find_file(source, 'pic-index.xlsx')
    pictures = read_sheet(file, ['generator', 'picture'])
    prompts = _read_prompts(source)
    place = np.arange(len(pictures))
    number, copy = place // IMAGES_PER_PROMPT % PROMPTS, place % IMAGES_PER_PROMPT
    expected = [f'{n:03}-{c + 1}.png' for n, c in zip(number, copy, strict=True)]
    agrees = Check(pictures['picture'] == expected, 'the picture is not the one whose MOS is at this place', 'picture')
    require(file, pictures, agrees, numbers=(place + 1).tolist())  # the sheet has no header
    return pd.DataFrame(
        {
            'file': str(file),
            'row': place + 1,
            'name': pictures['generator'] + '/' + pictures['picture'],
            'other_name': [f'allimg/{n}.png' for n in place],
            'prompt': [prompts[n] for n in number],
            'generator': pictures['generator'],
        }
    )


def _read_prompts(source: Path) -> list[str]:
    file = find_file(source, 'AIGCIQA2023_Prompts.xlsx')
    sheet = read_sheet(file, ['challenge', 'category', 'prompt'])
    if len(sheet) != PROMPTS:
        raise TableError(f'{file}: it has {len(sheet)} prompts, {PROMPTS} are needed.')
    return sheet.agg(', '.join, axis=1).tolist()
