"""Options checked: an unknown name gets a hint at the nearest right one, a wrong value says what is allowed."""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple


class OptionError(ValueError):
    """An option that cannot be used: the message names it, its value and the remedy."""


def check_keys(options: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise an OptionError for a key of ``options`` that is not in ``known``; ``where`` says whose options these are."""
    known = list(known)
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f'did you mean {near[0]!r}?' if near else f'known are {", ".join(known)}.'
            raise OptionError(f'Unknown {where} option {name!r}: {hint}')


class Rule(NamedTuple):
    """What a value must be: a test, and the same in words."""

    met: Callable[[Any], bool]
    allowed: str


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(low: float, high: float = float('inf')) -> Rule:
    """A number within two bounds, both allowed."""
    bounds = f'of at least {low:g}' if high == float('inf') else f'from {low:g} to {high:g}'
    return Rule(
        lambda value: _is_number(value) and low <= value <= high, f'a number {bounds} (in YAML 1.0e-5, not 1e-5)'
    )


def whole(low: int) -> Rule:
    """A whole number of at least ``low``."""
    return Rule(lambda value: _is_number(value) and isinstance(value, int) and value >= low, f'a whole number of at least {low}')  # fmt: skip


def one_of(*values: Any) -> Rule:
    """One of some values; True and 1 are told apart."""
    known = [(type(value), value) for value in values]
    shown = [str(value).lower() if isinstance(value, bool) else repr(value) for value in values]
    return Rule(lambda value: (type(value), value) in known, ', '.join(shown[:-1]) + f' or {shown[-1]}')


def list_of(rule: Rule) -> Rule:
    """One or more values that all meet a rule."""
    return Rule(
        lambda value: isinstance(value, list | tuple) and len(value) > 0 and all(map(rule.met, value)),
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
        raise OptionError(f'{where} is {options!r}: it must be {MAPPING.allowed}.')
    check_keys(options, rules, where)
    for name in required:
        if options.get(name) is None:
            raise OptionError(f'{where} option {name} is missing: it must be {rules[name].allowed}.')
    for name, value in options.items():
        if not rules[name].met(value):
            raise OptionError(f'{where} option {name} is {value!r}: it must be {rules[name].allowed}.')
