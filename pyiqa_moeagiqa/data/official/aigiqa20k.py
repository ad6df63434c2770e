"""AIGIQA-20K: ``info_train.csv``, and ``info_val.csv`` and ``info_test.csv`` if they exist."""

from pathlib import Path

import pandas as pd

from .files import find_file, read_rows

LETTERS = {'train': 'r', 'val': 'v', 'test': 'e'}


def read(source: Path) -> pd.DataFrame:
    """Read names such as ``SDXL_Turbo_0123.png``: the generator, then a number. A row's file is its official split.

    Raises:
        TableError: for a file or column that is missing; only the validation and test files may be missing.
    """
    find_file(source, 'info_train.csv')
    files = {part: f'info_{part}.csv' for part in LETTERS}
    there = {part: find_file(source, name) for part, name in files.items() if any(source.rglob(name))}
    parts = [read_rows(file, ['name', 'prompt', 'mos']).assign(official=LETTERS[part]) for part, file in there.items()]
    table = pd.concat(parts, ignore_index=True)
    generator = table['name'].str.replace(r'_\d+\.\w+$', '', regex=True)
    return table.rename(columns={'mos': 'quality'}).assign(generator=generator)
