"""AGIQA-3K: ``data.csv``."""

from pathlib import Path

import pandas as pd

from .files import find_file, read_rows

COLUMNS = {
    'mos_quality': 'quality',
    'std_quality': 'quality_std',
    'mos_align': 'alignment',
    'std_align': 'alignment_std',
    'style': 'style',
}


def read(source: Path) -> pd.DataFrame:
    """Read names such as ``sd1.5_lowstep_173.jpg``: the generator with its setting, then the prompt's number.

    Raises:
        TableError: for a file or column that is missing.
    """
    table = read_rows(find_file(source, 'data.csv'), ['name', 'prompt', *COLUMNS])
    generator = table['name'].str.replace(r'_\d+\.\w+$', '', regex=True)
    return table.rename(columns=COLUMNS).assign(generator=generator)
