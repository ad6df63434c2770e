"""AGIQA-3K's official annotation file as a table of this package."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from .info import dataset_info
from .splits import split_column
from .table import Check, TableError, as_numbers, mos_checks, read_table, require

COLUMNS = ('name', 'prompt', 'mos_quality', 'std_quality', 'mos_align', 'std_align')
SPLITS = ('prompt', 'image')


def prepare(source: Path | str, output: Path | str, split: str = 'prompt', seed: int = 123) -> pd.DataFrame:
    """Write AGIQA-3K as one CSV with columns path, prompt, generator, quality, alignment, their deviations and split.

    Args:
        source: the folder of the download: ``data.csv``, and the images in it or in a folder in it.
        output: the CSV to write; its paths are relative to it.
        split: 'prompt' leaves no prompt on two sides; 'image' splits as the paper does, where a prompt's images are
            on both.
        seed: of the split.

    Returns:
        The table as written.

    Raises:
        TableError: for a file, column or image that is missing, naming the rows; nothing is written then.
    """
    source, output = Path(source), Path(output)
    if split not in SPLITS:
        raise TableError(f'The split is {split!r}: it must be one of {", ".join(SPLITS)}.')
    if output.suffix.lower() != '.csv':
        raise TableError(f'{output}: the table to write must end in .csv.')
    official = read_table(source / 'data.csv', COLUMNS)
    images = {path.name: path for path in source.rglob('*') if path.suffix.lower() in ('.jpg', '.png')}
    _check(source, official, images)
    folder = output.parent.resolve()
    table = pd.DataFrame(
        {
            'path': [os.path.relpath(images[name].resolve(), folder) for name in official['name']],
            'prompt': official['prompt'],
            'generator': official['name'].str.replace(r'_\d+\.\w+$', '', regex=True),
            'quality': as_numbers(official['mos_quality']),
            'alignment': as_numbers(official['mos_align']),
            'quality_std': as_numbers(official['std_quality']),
            'alignment_std': as_numbers(official['std_align']),
            'split': split_column(official['prompt' if split == 'prompt' else 'name'].tolist(), seed),
        }
    )
    _write(table, output)
    return table


def _check(source: Path, official: pd.DataFrame, images: Mapping[str, Path]) -> None:
    names = official['name']
    deviations = [
        Check(as_numbers(official[column]).notna(), f'column {column!r} holds no number', column)
        for column in ('std_quality', 'std_align')
    ]
    require(
        source / 'data.csv',
        official,
        Check(names.isin(images.keys()), f'there is no such image below {source}', 'name'),
        Check(~names.duplicated(keep=False), 'the same image stands twice', 'name'),
        *mos_checks(official, ('mos_quality', 'mos_align'), dataset_info()['agiqa3k']['mos_range']),
        *deviations,
    )


def _write(table: pd.DataFrame, output: Path) -> None:
    part = output.with_name(f'{output.name}.part{os.getpid()}')
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(part, index=False)
        part.replace(output)
    except OSError as error:  # its own text would name the part file
        raise TableError(f'{output}: it cannot be written ({error.strerror}); name another output.') from None
    finally:
        if part.is_file():
            part.unlink()
