"""The official annotation files, one small reader per data set: the module of the data set's name.

Its function ``read`` takes the folder of a download and returns one row per annotated image, with columns

- ``file``, ``row``: where the row comes from,
- ``name``: the image's name; with the generator's folder in front if names repeat between generators,
- ``other_name`` (optional): the image's name in another layout of the same download,
- ``prompt`` (empty for an image without one), ``generator``,
- one per target (``quality``, ``alignment``, ``authenticity``), and its ``*_std`` if the data set has it,
- ``official`` or ``released``: the splits that came with the data, as letters (see ``data/splits.py``).

Values are as in the file; ``data/prepare.py`` checks them.
"""

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

HELPERS = 'files'
NAMES = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != HELPERS)


def read_official(name: str, source: Path) -> 'pd.DataFrame':
    """Read the annotations of a data set's download; raises a TableError for a file that is missing or is not the official one."""
    return import_module(f'.{name}', __name__).read(source)
