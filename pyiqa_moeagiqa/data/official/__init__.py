"""The official annotation files, one small reader per data set.

A reader takes the folder of a download and returns one row per annotated image, with columns

- ``file``, ``row``: where the row comes from,
- ``name``: of the image; where names repeat between generators, with the generator's folder before it,
- ``other_name``: what the image is called in another layout of the same download, where there is one,
- ``prompt`` (empty where there is none), ``generator``,
- one per target (``quality``, ``alignment``, ``authenticity``) and its ``*_std`` where that is given,
- ``official`` or ``released``: the splits that came with the data, as letters (see ``data/splits.py``).

Values are as the file has them: what they must be is checked in ``data/prepare.py``.
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
