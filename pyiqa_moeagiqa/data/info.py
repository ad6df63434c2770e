"""Describe the data sets that this package knows: contents, MOS range and source (from ``datasets_meta/``)."""

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PACKAGE = Path(__file__).parent.parent
# pyiqa describes these itself: its load_dataset needs the paths of its own description, and its ARNIQA the MOS range.
PYIQAS_OWN = ('koniq10k',)


def shared_folder(name: str) -> Path:
    """``options`` or ``datasets_meta``: inside the installed package, or beside it in a checkout."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


@cache
def _read_all() -> dict[str, dict[str, Any]]:
    files = sorted(shared_folder('datasets_meta').glob('*.yml'))
    return {file.stem: yaml.safe_load(file.read_text(encoding='utf-8')) for file in files}


def description(name: str) -> dict[str, Any]:
    """Return a data set's description from ``datasets_meta/NAME.yml``."""
    return copy.deepcopy(_read_all()[name])


def dataset_info() -> dict[str, dict[str, Any]]:
    """Return name -> description of every data set that this package adds to ``pyiqa.get_dataset_info``."""
    return {name: description(name) for name in _read_all() if name not in PYIQAS_OWN}


def known_range(table: Path | str) -> list[float] | None:
    """The range of MOS of the data set that a table is named after, such as ``agiqa3k.csv``; None for any other table."""
    return dataset_info().get(Path(table).stem, {}).get('mos_range')


def is_of_set(title: str, name: str) -> bool:
    """Whether a checkpoint's training data, such as 'AGIQA-3K, 240 of its prompts', is from data set ``name``, as 'agiqa3k'.

    Data of several sets are joined by ' + '.
    """
    plain_name, *plain_titles = (re.sub(r'[\W_]', '', text.lower()) for text in (name, *title.split(' + ')))
    return any(title.startswith(plain_name) for title in plain_titles)
