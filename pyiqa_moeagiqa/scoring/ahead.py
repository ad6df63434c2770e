"""Reading ahead: threads decode images while the network computes; the images are handed on in their order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from ..images.room import Room

THREADS = min(4, os.cpu_count() or 1)

Asked = TypeVar('Asked')
Read = TypeVar('Read')


def read_ahead(
    read: Callable[[Asked], Read], items: Iterable[Asked], ahead: int, room: Room
) -> Iterator[tuple[Asked, 'Future[Read]']]:
    """Yield each item with a future of ``read(item)``; at most ``ahead`` items are read before they are asked for.

    Args:
        read: called by threads; what it raises is raised by the future's ``result``.
        items: taken lazily, one each time a reading is started.
        ahead: how many items can wait in memory.
        room: bounds the pixels of the images that wait and of the one handed out last.
    """
    pool = ThreadPoolExecutor(THREADS)
    waiting: deque[tuple[int, Any, Future]] = deque()
    try:
        for place, item in enumerate(items):
            waiting.append((place, item, pool.submit(_read_in, room, place, read, item)))
            if len(waiting) > ahead:
                yield from _handed_out(waiting, room)
        while waiting:
            yield from _handed_out(waiting, room)
        pool.shutdown(wait=True)  # finish what was handed out but not yet looked at
    finally:
        room.open()
        pool.shutdown(wait=True, cancel_futures=True)


def _read_in(room: Room, place: int, read: Callable[[Asked], Read], item: Asked) -> Read:
    with room.reading(place):
        return read(item)


def _handed_out(waiting: deque, room: Room) -> Iterator[tuple[Any, Future]]:
    """Yield the next pair of item and future; its room is freed when the caller asks for another one."""
    place, *pair = waiting.popleft()
    yield pair.pop(0), pair.pop()  # popped, so that this generator keeps no reference
    room.leave(place)


def read_batches(
    read: Callable[[Asked], Read], items: Iterable[Asked], ahead: int, at_once: int
) -> Iterator[list[Read]]:
    """Yield what ``read`` makes of the items in batches of ``at_once``, smaller ones when their pixels fill the room.

    A batch is emptied when the next one is asked for, so that memory never holds two batches.
    """
    room, batch, pixels, place = Room(), [], 0, 0  # enumerate() would keep a reference to the last image
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
