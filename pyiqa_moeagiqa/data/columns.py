"""The names that people give the columns of their tables. Case and spaces around a name do not matter."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# Our name, then all names that are accepted for it, the likeliest first.
NAMES = {
    'path': ('path', 'file_name', 'filename', 'file', 'image', 'img', 'image_path'),
    'prompt': ('prompt', 'text', 'caption', 'positive_prompt'),
    'quality': ('quality', 'mos', 'rating', 'score'),
}


def find_column(there: Iterable[Any], wanted: str) -> Any:
    """Find the column that is ``wanted`` ('path', 'prompt', 'quality' or another) among the names ``there``.

    Returns its name as it is written there, or None if there is no such column.

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
    """Rename ``wanted`` columns that have other names in the table to our names."""
    found = {name: find_column(table.columns, name) for name in wanted}
    theirs = {name: ours for ours, name in found.items() if name is not None and name != ours}
    return table.rename(columns=theirs)


def there_are(there: Iterable[Any], wanted: str) -> str:
    """List the columns there are, and other accepted names for the ``wanted`` one, as the end of a sentence."""
    others = NAMES.get(wanted, ())[1:]
    also = f' ({", ".join(others)} are also accepted)' if others else ''
    return f'there are {", ".join(map(repr, there))}{also}'
