"""KonIQ-10k: ``koniq10k_distributions_sets.csv``; photographs, so there are no prompts and no generators."""

from pathlib import Path

import pandas as pd

from ..table import Check, require
from .files import find_file, read_rows

LETTERS = {'training': 'r', 'validation': 'v', 'test': 'e'}
COLUMNS = {'image_name': 'name', 'MOS': 'quality', 'SD': 'quality_std'}


def read(source: Path) -> pd.DataFrame:
    """Read names such as ``10004473376.jpg``. SD is from ratings of 1 to 5, while MOS is on a scale of 0 to 100.

    Raises:
        TableError: for a file or column that is missing, or a set that is none of the three.
    """
    file = find_file(source, 'koniq10k_distributions_sets.csv')
    table = read_rows(file, [*COLUMNS, 'set'])
    known = table['set'].isin(list(LETTERS))
    require(file, table, Check(known, f"column 'set' is none of {', '.join(LETTERS)}", 'set'))
    return table.rename(columns=COLUMNS).assign(prompt='', generator='', official=table['set'].map(LETTERS))
