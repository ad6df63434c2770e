"""Option names checked with a hint at the nearest right one."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


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


def number(options: Mapping[str, Any], name: str, where: str) -> float:
    """The number under ``name``.

    Raises:
        OptionError: for anything else; YAML reads ``1e-5`` as text, which needs to be written ``1.0e-5``.
    """
    value = options[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(f'{where} option {name} is {value!r}: it must be a number (in YAML 1.0e-5, not 1e-5).')
    return value
