"""Options checked: an unknown name gets a hint at the nearest right one, a wrong value says what is allowed."""

import difflib
import reprlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

LARGEST = 2**31 - 1  # of whole numbers: what torch, numpy and the sizes of tensors take for sure
LONGEST_SHOWN = 500  # characters of a value
LONGEST_QUOTED = 1000  # characters of another error; paths in it may be long
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxdict, _BRIEF.maxlist, _BRIEF.maxtuple = 4, 12, 12, 12
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 200


class OptionError(ValueError):
    """An option that cannot be used: the message names it, its value and the remedy."""


def shown(value: Any) -> str:
    """A value as an error shows it: what is large, deep or endless is cut."""
    try:
        text = _BRIEF.repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return 'a number of thousands of digits'
    return text if len(text) <= LONGEST_SHOWN else f'{text[:LONGEST_SHOWN]}...'


def first_line(error: Exception) -> str:
    """The first line of what an error says; where it says nothing, its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def quoted(error: Exception) -> str:
    """An error's first line as a sentence of ours quotes it."""
    return first_line(error).rstrip('.')[:LONGEST_QUOTED]


def check_keys(options: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise an OptionError for a key of ``options`` that is not in ``known``; ``where`` says whose options these are."""
    known = list(known)
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(shown(name).strip("'"), known, n=1)
            hint = f'did you mean {near[0]!r}?' if near else f'known are {", ".join(known)}.'
            raise OptionError(f'Unknown {where} option {shown(name)}: {hint}')


class Rule(NamedTuple):
    """What a value must be: a test, and the same in words."""

    met: Callable[[Any], bool]
    allowed: str


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # NaN and infinity are not, nor is a whole number that no float can hold


def number(low: float, high: float = float('inf')) -> Rule:
    """A number within two bounds, both allowed."""
    bounds = f'of at least {low:g}' if high == float('inf') else f'from {low:g} to {high:g}'
    return Rule(
        lambda value: _is_number(value) and low <= value <= high, f'a number {bounds} (in YAML 1.0e-5, not 1e-5)'
    )


def whole(low: int, high: int = LARGEST) -> Rule:
    """A whole number within two bounds, both allowed."""
    bounds = f'of at least {low} (and below 2^31)' if high == LARGEST else f'from {low} to {high}'
    return Rule(lambda value: type(value) is int and low <= value <= high, f'a whole number {bounds}')


def one_of(*values: Any) -> Rule:
    """One of some values; True and 1 are told apart."""
    known = [(type(value), value) for value in values]
    names = [str(value).lower() if isinstance(value, bool) else repr(value) for value in values]
    return Rule(
        lambda value: (type(value), value) in known, ' or '.join(filter(None, (', '.join(names[:-1]), names[-1])))
    )


def list_of(rule: Rule, least: int = 1) -> Rule:
    """At least so many values that all meet a rule."""
    return Rule(
        lambda value: isinstance(value, list | tuple) and len(value) >= least and all(map(rule.met, value)),
        f'a list, each of {rule.allowed}',
    )


FLAG = one_of(True, False)
TEXT = Rule(lambda value: isinstance(value, str) and value != '', 'text')
MAPPING = Rule(lambda value: isinstance(value, Mapping), 'a section of its own, "key: value" lines further in')
RANGE = Rule(
    lambda value: (
        isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)) and value[0] < value[1]
    ),
    'the lowest and highest possible value, as in [0, 5]',
)
ANYTHING = Rule(lambda value: True, 'anything')


def either(*rules: Rule) -> Rule:
    """A value that meets at least one of some rules."""
    return Rule(lambda value: any(rule.met(value) for rule in rules), ', or '.join(rule.allowed for rule in rules))


def check(options: Any, rules: Mapping[str, Rule], where: str, required: Iterable[str] = ()) -> None:
    """Raise an OptionError for an option that is unknown, missing or not as its rule says.

    Args:
        options: what the user gave.
        rules: every known option's rule.
        where: whose options these are, such as 'train'.
        required: the options that must be there.
    """
    if not isinstance(options, Mapping):
        raise OptionError(f'{where} is {shown(options)}: it must be {MAPPING.allowed}.')
    check_keys(options, rules, where)
    for name in required:
        if options.get(name) is None:
            raise OptionError(f'{where} option {name} is missing: it must be {rules[name].allowed}.')
    for name, value in options.items():
        if not rules[name].met(value):
            raise OptionError(f'{where} option {name} is {shown(value)}: it must be {rules[name].allowed}.')
