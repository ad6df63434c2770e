"""The official annotation files, one small reader per data set.

A reader takes the folder of a download and returns one row per annotated image, with columns

- ``file``, ``row``: where the row comes from,
- ``name``: the image's name; with the generator's folder in front if names repeat between generators,
- ``other_name`` (optional): the image's name in another layout of the same download,
- ``prompt`` (empty for an image without one), ``generator``,
- one per target (``quality``, ``alignment``, ``authenticity``), and its ``*_std`` if the data set has it,
- ``official`` or ``released``: the splits that came with the data, as letters (see ``data/splits.py``).

Values are as in the file; ``data/prepare.py`` checks them.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from . import agiqa1k, agiqa3k, aigciqa2023, aigiqa20k, koniq10k

READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    'agiqa1k': agiqa1k.read,
    'agiqa3k': agiqa3k.read,
    'aigciqa2023': aigciqa2023.read,
    'aigiqa20k': aigiqa20k.read,
    'koniq10k': koniq10k.read,
}
