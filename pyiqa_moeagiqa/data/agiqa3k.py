"""AGIQA-3K's official annotation file as a table of this package."""

import os
from pathlib import Path

import pandas as pd

from .info import dataset_info
from .splits import split_column
from .table import TableError, read_mos_table, read_table, require

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
    annotation = source / 'data.csv'
    official = read_table(annotation, COLUMNS)
    images = {path.name: path for path in source.rglob('*') if path.suffix.lower() in ('.jpg', '.png')}
    require(
        annotation, official, official['name'].isin(images.keys()), f'there is no such image below {source}', 'name'
    )
    folder = output.parent.resolve()
    table = pd.DataFrame(
        {
            'path': [os.path.relpath(images[name].resolve(), folder) for name in official['name']],
            'prompt': official['prompt'],
            'generator': official['name'].str.replace(r'_\d+\.\w+$', '', regex=True),
            'quality': official['mos_quality'],
            'alignment': official['mos_align'],
            'quality_std': official['std_quality'],
            'alignment_std': official['std_align'],
            'split': split_column(official['prompt' if split == 'prompt' else 'name'].tolist(), seed),
        }
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(output.name + '.part.csv')
    try:
        table.to_csv(part, index=False)
        info = dataset_info()['agiqa3k']
        read_mos_table(part, None, info['targets'], tuple(info['mos_range']))
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    return table
