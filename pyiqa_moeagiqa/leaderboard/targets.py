"""Which MOS column stands against which of a metric's scores."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..data.info import dataset_info
from ..options import OptionError
from ..scoring.scale import targets_of
from ..scoring.sources import SourceError

DEFAULT = 'quality'
TAKEN = ('path', 'prompt', 'generator', 'style')  # columns that hold something else


class Asked(NamedTuple):
    """MOS of one column, and what of a metric's they are compared with.

    Attributes:
        column: of the table.
        target: the metric's; '' where the column's name is to tell, as of 'quality'.
    """

    column: str
    target: str = ''

    @property
    def label(self) -> str:
        """As it was asked for."""
        return f'{self.column}={self.target}' if self.target not in ('', self.column) else self.column


def parse_targets(texts: Sequence[str]) -> list[Asked]:
    """``COLUMN`` or ``COLUMN=TARGET``, each once.

    Raises:
        SourceError: for none, one that is half a name, or a column that holds no MOS.

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


def target_for(metric: Any, asked: Asked) -> str:
    """The metric's target for a MOS column: the one that is named, that of the column's name, or quality for a column of one's own.

    Returns:
        '' for a metric that has one score only.

    Raises:
        OptionError: where the metric does not score it.
    """
    there, wanted = targets_of(metric), asked.target or asked.column
    if not there or wanted in there:
        return wanted if there else ''
    if not asked.target and wanted not in _known() and DEFAULT in there:
        return DEFAULT
    raise OptionError(f'target is {wanted!r}: this checkpoint scores {", ".join(there)}.')


def _known() -> set[str]:
    """The targets of the data sets that this package knows: no checkpoint's quality stands for one of these."""
    return {target for description in dataset_info().values() for target in description.get('targets', ())}
