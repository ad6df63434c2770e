"""Checks nested values from an untrusted file, such as YAML or JSON, before anything uses them."""

from collections.abc import Iterable, Mapping
from typing import Any

from .options import OptionError, shown

DEEPEST = 30  # levels
MOST = 100_000  # values, each counted as often as it would be written
HIGHEST = 10**308  # what a float can hold
PLAIN = (str, bool, int, float, type(None))


def check_tree(tree: Any) -> None:
    """Raise an OptionError for values that no option or header needs and that break other code.

    These are too many levels or values (YAML's aliases can turn a kilobyte into a gigabyte), keys that are not text, text
    that UTF-8 cannot encode, numbers that no float can hold, and other types such as dates.
    """
    if _count(tree, 0, {}) > MOST:
        raise OptionError(
            f'it has more than {MOST:,} values once its aliases are written out: write out what is needed'
        )


def _count(value: Any, level: int, known: dict[int, int]) -> int:
    """Count the values in ``value``, checking each; an object that appears in several places is checked once."""
    if level > DEEPEST:
        raise OptionError(f'it is nested more than {DEEPEST} levels deep, or in itself')
    if not isinstance(value, Mapping | list | tuple):
        _check_plain(value)
        return 1
    if id(value) not in known:
        parts: Iterable[Any] = value
        if isinstance(value, Mapping):
            _check_names(value)
            parts = value.values()
        known[id(value)] = 1 + sum(_count(part, level + 1, known) for part in parts)
    return known[id(value)]


def _check_names(section: Mapping[Any, Any]) -> None:
    for name in section:
        if not isinstance(name, str):
            raise OptionError(f'the name {shown(name)} is no text: put it in quotes')
        _check_plain(name)


def _check_plain(value: Any) -> None:
    if not isinstance(value, PLAIN):
        raise OptionError(f'{shown(value)} is neither text nor a number: put it in quotes')
    if isinstance(value, int) and abs(value) > HIGHEST:
        raise OptionError(f'{shown(value)} is too large')
    if isinstance(value, str) and ('\0' in value or any('\ud800' <= letter <= '\udfff' for letter in value)):
        raise OptionError(f'{shown(value)} has a character that no text file can hold: remove it')
