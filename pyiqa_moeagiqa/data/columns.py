"""What people call the columns of their tables. Case and spaces around a name do not matter."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# Our name, and the others that stand for it, the likeliest first.
NAMES = {
    'path': ('path', 'file_name', 'filename', 'file', 'image', 'img', 'image_path'),
    'prompt': ('prompt', 'text', 'caption', 'positive_prompt'),
    'quality': ('quality', 'mos', 'rating', 'score'),
}


def find_column(there: Iterable[Any], wanted: str) -> Any:
    """The name of the column that is ``wanted`` ('path', 'prompt', 'quality' or another), as it is called there.

    None where there is none.

    Example:
        >>> find_column(['Filename', 'Caption'], 'path')
        'Filename'
    """
    there = list(there)
    if wanted in there:
        return wanted
    by_plain_name: dict[str, Any] = {}
    for name in there:
        by_plain_name.setdefault(str(name).strip().lower(), name)
    return next((by_plain_name[name] for name in NAMES.get(wanted, (wanted,)) if name in by_plain_name), None)


def with_our_names(table: 'pd.DataFrame', wanted: Sequence[str]) -> 'pd.DataFrame':
    """The table with the columns that are ``wanted`` under our names, where they are there under others."""
    found = {name: find_column(table.columns, name) for name in wanted}
    theirs = {name: ours for ours, name in found.items() if name is not None and name != ours}
    return table.rename(columns=theirs)


def there_are(there: Iterable[Any], wanted: str) -> str:
    """Which columns there are, and what else the one that is ``wanted`` may be called: the end of a sentence."""
    others = NAMES.get(wanted, ())[1:]
    also = f' ({", ".join(others)} would do, too)' if others else ''
    return f'there are {", ".join(map(repr, there))}{also}'
