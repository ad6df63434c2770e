"""The batches of a loader, whose workers' errors are one sentence, too."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader


def batches(loader: DataLoader) -> Iterator[Any]:
    """What the loader gives.

    Raises:
        ValueError: of the data set's own kind and in its own words; torch would put a worker's whole traceback into them.
    """
    try:
        yield from loader
    except ValueError as error:
        kind = type(error)
        _, found, words = str(error).rpartition(f'{kind.__module__}.{kind.__name__}: ')
        if not found:
            raise
        raise kind(words.strip()) from None
