"""The data sets that this package knows: what each is, its MOS range and where it comes from (``datasets_meta/``)."""

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PACKAGE = Path(__file__).parent.parent
# pyiqa describes these itself: its load_dataset needs its own paths, and its ARNIQA the MOS range that it has there.
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
    """What a data set is, as ``datasets_meta/NAME.yml`` has it."""
    return copy.deepcopy(_read_all()[name])


def dataset_info() -> dict[str, dict[str, Any]]:
    """Name -> description of every data set that ``pyiqa.get_dataset_info`` shows by this package."""
    return {name: description(name) for name in _read_all() if name not in PYIQAS_OWN}


def is_of_set(title: str, name: str) -> bool:
    """Whether what a checkpoint was trained on, such as 'AGIQA-3K, 240 of its prompts', is of a data set, such as 'agiqa3k'."""
    plain_title, plain_name = (re.sub(r'[\W_]', '', text.lower()) for text in (title, name))
    return plain_title.startswith(plain_name)
