"""Decides which MOS column is compared with which of a metric's scores."""

from collections.abc import Sequence
from typing import NamedTuple

from ..data.info import dataset_info
from ..options import OptionError
from ..scoring.sources import SourceError

DEFAULT = 'quality'
TAKEN = ('path', 'prompt', 'generator', 'style')  # columns that hold something else


class Asked(NamedTuple):
    """A MOS column, and the metric's target that it is compared with.

    Attributes:
        column: the table's MOS column.
        target: the metric's target; '' to use the column's name, such as 'quality'.
    """

    column: str
    target: str = ''

    @property
    def label(self) -> str:
        """The text that the user gives for it."""
        return f'{self.column}={self.target}' if self.target not in ('', self.column) else self.column


def parse_targets(texts: Sequence[str]) -> list[Asked]:
    """Parse texts of the form ``COLUMN`` or ``COLUMN=TARGET``; each is kept once.

    Raises:
        SourceError: if there is none, for one without its column or target, or for a column that holds no MOS.

    Example:
        >>> parse_targets(['mos=quality', 'alignment'])
        [Asked(column='mos', target='quality'), Asked(column='alignment', target='')]
    """
    asked = [Asked(column.strip(), target.strip()) for column, _, target in (text.partition('=') for text in texts)]
    if not asked:
        raise SourceError('--target names no MOS column; give names such as quality,alignment.')
    for text, one in zip(texts, asked, strict=True):
        if not one.column or (not one.target and '=' in text):
            raise SourceError(f'--target {text}: it must be COLUMN or COLUMN=TARGET, as in mos=quality.')
        if one.column in TAKEN:
            raise SourceError(f'--target {text}: column {one.column!r} holds no MOS; name the column that does.')
    return list({one.label: one for one in asked}.values())


def target_for(there: Sequence[str], asked: Asked) -> str:
    """Which of a metric's targets, ``there``, is compared with a MOS column: the named one, or the one with the column's name.

    A column whose name is no target of a known data set is compared with quality.

    Returns:
        '' for a metric that has one score only.

    Raises:
        OptionError: if the metric does not score it.
    """
    wanted = asked.target or asked.column
    if not there or wanted in there:
        return wanted if there else ''
    if not asked.target and wanted not in _known() and DEFAULT in there:
        return DEFAULT
    raise OptionError(f'target is {wanted!r}: this checkpoint scores {", ".join(there)}.')


def _known() -> set[str]:
    """The targets of the data sets that this package knows; a column with such a name is never compared with quality."""
    return {target for description in dataset_info().values() for target in description.get('targets', ())}
