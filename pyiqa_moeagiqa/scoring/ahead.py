"""Reading ahead: images are decoded by threads while the network computes, and are handed on in their order."""

import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

THREADS = min(4, os.cpu_count() or 1)

Asked, Read = TypeVar('Asked'), TypeVar('Read')


def read_ahead(
    read: Callable[[Asked], Read], items: Iterable[Asked], ahead: int
) -> Iterator[tuple[Asked, 'Future[Read]']]:
    """Each item with what ``read`` makes of it, or will: at most ``ahead`` items are read before they are asked for.

    Args:
        read: is called by threads; what it raises is raised by the future's ``result``.
        items: are taken from as far as is read.
        ahead: how many wait; memory holds no more of them.
    """
    pool, waiting = ThreadPoolExecutor(THREADS), deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(read, item)))
            if len(waiting) > ahead:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Notes:
    """Warnings, sorted by the thread that gave them; Python's own ``catch_warnings`` mixes those of all threads.

    Example:
        >>> with Notes() as notes, notes.taken() as said:
        ...     warnings.warn('the prompt was cut')
        >>> said
        ['the prompt was cut']
    """

    def __init__(self):
        self._own = threading.local()
        self._catch = warnings.catch_warnings()

    def __enter__(self) -> 'Notes':
        self._catch.__enter__()
        self._shown_before = warnings.showwarning
        warnings.simplefilter('always', UserWarning)
        warnings.showwarning = self._show
        return self

    def __exit__(self, *reason) -> None:
        self._catch.__exit__(*reason)

    @contextmanager
    def taken(self) -> Iterator[list[str]]:
        """A list of what is said within, each once."""
        self._own.said = said = []
        try:
            yield said
        finally:
            self._own.said = None
            said[:] = dict.fromkeys(said)

    def _show(self, message: Warning | str, *where) -> None:
        said = getattr(self._own, 'said', None)
        if said is not None and isinstance(message, UserWarning | RuntimeWarning):
            said.append(str(message))
        else:
            self._shown_before(message, *where)
