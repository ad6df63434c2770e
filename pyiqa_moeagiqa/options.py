"""Error messages for options that cannot be used: they give the name, the value, cut to fit a line, and the remedy."""

import difflib
import reprlib
import sys
from collections.abc import Iterable
from typing import Any

LONGEST_SHOWN = 500  # characters of a value
LONGEST_QUOTED = 1000  # characters of another error; paths in it can be long
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxdict, _BRIEF.maxlist, _BRIEF.maxtuple = 4, 12, 12, 12
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 200


class OptionError(ValueError):
    """An option that cannot be used: the message names it, its value and the remedy."""


def shown(value: Any) -> str:
    """A value as text for an error message; large, deep or endless values are cut."""
    try:
        text = _BRIEF.repr(value)
    except ValueError:  # Python converts no integer of more than 4,300 digits to text
        return 'a number of thousands of digits'
    return text if len(text) <= LONGEST_SHOWN else f'{text[:LONGEST_SHOWN]}...'


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its type if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def quoted(error: BaseException) -> str:
    """An error's first line for use in one of our sentences: without its full stop, and cut if it is long."""
    return first_line(error).rstrip('.')[:LONGEST_QUOTED]


def unknown_option(name: Any, known: Iterable[str], where: str) -> OptionError:
    """The error for a key that is none of ``known``, with the nearest of them; ``where`` says whose options these are."""
    known = list(known)
    near = difflib.get_close_matches(shown(name).strip("'"), known, n=1)
    hint = f'did you mean {near[0]!r}?' if near else f'known are {", ".join(known)}.'
    return OptionError(f'Unknown {where} option {shown(name)}: {hint}')


def is_range(value: Any) -> bool:
    """Whether a value is two numbers, the lower one first, as a MOS range is."""
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)) and value[0] < value[1]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # false for NaN, infinity and integers that no float can hold
