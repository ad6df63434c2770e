"""Warnings that name the line of the user's own code."""

import sys
import warnings
from collections.abc import Iterable


def warn_caller(notes: Iterable[str]) -> None:
    """Give notes as warnings that name the user's line: the nearest one outside of this package, pyiqa and torch."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get('__name__', '').partition('.')[0] in (
        'pyiqa_moeagiqa',
        'pyiqa',
        'torch',
    ):
        frame, level = frame.f_back, level + 1
    for note in notes:
        warnings.warn(note, stacklevel=level)
