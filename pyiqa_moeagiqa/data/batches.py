"""Iterate over a loader's batches, with errors of its workers cut to one sentence."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader


def batches(loader: DataLoader) -> Iterator[Any]:
    """Yield the loader's batches.

    Raises:
        ValueError: of the data set's own class and with its own message; torch would add the worker's whole traceback.
    """
    try:
        yield from loader
    except ValueError as error:
        kind = type(error)
        _, found, words = str(error).rpartition(f'{kind.__module__}.{kind.__name__}: ')
        if not found:
            raise
        raise kind(words.strip()) from None
