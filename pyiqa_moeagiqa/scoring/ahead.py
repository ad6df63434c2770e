"""Reading ahead: images are decoded by threads while the network computes, and are handed on in their order."""

import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from ..room import Room

THREADS = min(4, os.cpu_count() or 1)

Asked, Read = TypeVar('Asked'), TypeVar('Read')


def read_ahead(
    read: Callable[[Asked], Read], items: Iterable[Asked], ahead: int, room: Room
) -> Iterator[tuple[Asked, 'Future[Read]']]:
    """Each item with what ``read`` makes of it, or will: at most ``ahead`` items are read before they are asked for.

    Args:
        read: is called by threads; what it raises is raised by the future's ``result``.
        items: are taken from as far as is read.
        ahead: how many wait; memory holds no more of them.
        room: bounds the pixels of what waits and of what was handed out last.
    """
    pool, waiting = ThreadPoolExecutor(THREADS), deque()
    try:
        for place, item in enumerate(items):
            waiting.append((place, item, pool.submit(_read_in, room, place, read, item)))
            if len(waiting) > ahead:
                yield from _handed_out(waiting, room)
        while waiting:
            yield from _handed_out(waiting, room)
        pool.shutdown(wait=True)  # what was handed out and not looked at yet is read, too
    finally:
        room.open()
        pool.shutdown(wait=True, cancel_futures=True)


def _read_in(room: Room, place: int, read: Callable[[Asked], Read], item: Asked) -> Read:
    with room.reading(place):
        return read(item)


def _handed_out(waiting: deque, room: Room) -> Iterator[tuple[Any, Future]]:
    """The next, which holds its room until one more is asked for."""
    place, *pair = waiting.popleft()
    yield pair.pop(0), pair.pop()  # so that nothing is kept of it here
    room.leave(place)


def read_batches(
    read: Callable[[Asked], Read], items: Iterable[Asked], ahead: int, at_once: int
) -> Iterator[list[Read]]:
    """What ``read`` makes of the items, ``at_once`` together, fewer where their pixels fill the room.

    A batch is emptied when the next one is asked for, so that memory never holds two.
    """
    room, batch, pixels, place = Room(), [], 0, 0  # enumerate() would keep the last image
    for _, future in read_ahead(read, items, ahead, room):
        batch.append(future.result())
        del future
        pixels, place = pixels + room.held_by(place), place + 1
        if len(batch) == at_once or pixels >= room.limit:
            yield batch
            batch.clear()
            pixels = 0
    if batch:
        yield batch


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
