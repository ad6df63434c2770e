"""Find annotation files below a folder and read them; each error is one sentence."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ...options import quoted
from ..table import TableError, read_table
from ..table_files import row_numbers

INSTALL = "install it by: pip install 'pyiqa-moeagiqa[data]'"


def find_file(source: Path, name: str) -> Path:
    """Find the file of that name in the folder, or else below it.

    Raises:
        TableError: if there is no such file, or more than one below the folder.
    """
    if not source.is_dir():
        raise TableError(f'{source}: there is no such folder; name the folder of the download.')
    if (source / name).is_file():
        return source / name
    found = sorted(source.rglob(name))
    if not found:
        raise TableError(f'{source}: there is no {name} in this folder or below it; it comes with the data set.')
    if len(found) > 1:
        raise TableError(f'{source}: {name} appears twice ({found[0]}, {found[1]}); name a folder that has one.')
    return found[0]


def read_rows(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a CSV's rows, all cells as text, and add the columns ``file`` and ``row``."""
    table = read_table(file, columns)
    return table.assign(file=str(file), row=row_numbers(file, len(table)))


def read_sheet(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read the first columns of an Excel sheet without header, all cells as text.

    Raises:
        TableError: for a file that is no workbook or has fewer columns, or if openpyxl is not installed.
    """
    try:
        sheet = pd.read_excel(file, header=None, dtype=str, keep_default_na=False, engine='openpyxl')
    except ImportError:
        raise TableError(f'{file}: reading it needs openpyxl; {INSTALL}') from None
    except Exception as error:  # openpyxl lets zip, XML and key errors through
        raise TableError(f'{file}: it cannot be read as an Excel workbook ({quoted(error)}).') from None
    if sheet.shape[1] < len(columns):
        raise TableError(f'{file}: it has {sheet.shape[1]} columns, {len(columns)} are needed ({", ".join(columns)}).')
    return sheet.iloc[:, : len(columns)].set_axis(list(columns), axis=1)


def read_column(file: Path, key: str, length: int) -> np.ndarray:
    """Read the ``length`` numbers under ``key`` of a MATLAB file (version 5, as scipy reads it).

    Raises:
        TableError: for a file that is no MATLAB file, lacks the key, or holds something else under it.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(file)
    except Exception as error:  # scipy lets struct and type errors through
        raise TableError(f'{file}: it cannot be read as a MATLAB file ({quoted(error)}).') from None
    if key not in content:
        names = ', '.join(name for name in content if not name.startswith('__'))
        raise TableError(f'{file}: {key} is missing; there are {names or "none"}.')
    numbers = np.asarray(content[key])
    if numbers.size != length or numbers.dtype.kind not in 'fiu':
        raise TableError(f'{file}: {key} must be {length} numbers, it is {numbers.dtype} of shape {numbers.shape}.')
    return numbers.ravel().astype(float)
