"""Limits memory by the number of pixels: threads that read images in parallel ask for room before they decode one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

PIXELS = 100_000_000  # 700 MB, at 7 bytes per pixel while an image is decoded

_thread = threading.local()


def ask_for_room(pixels: int) -> None:
    """Wait until there is room to decode an image of so many pixels; returns at once in threads that share no ``Room``."""
    ask = getattr(_thread, 'ask', None)
    if ask:
        ask(pixels)


class Room:
    """Room for at most ``PIXELS`` pixels at once; a larger image is let in when nothing else is held.

    Readers have places 0, 1, 2 ... and must start in this order. They get room in the same order, so that an image that is
    needed first never waits for one that is needed later.
    """

    def __init__(self) -> None:
        self.limit = PIXELS
        self._held: dict[int, int] = {}
        self._passed: set[int] = set()  # places after the current turn that have room already or need none
        self._half_done: set[int] = set()  # places that were either read or left, but not yet both
        self._turn, self._is_open = 0, False
        self._change = threading.Condition()

    @contextmanager
    def reading(self, place: int) -> Iterator[None]:
        """Within the context, this thread's ``ask_for_room`` asks this object, for ``place``."""
        _thread.ask = partial(self._ask, place)
        try:
            yield
        finally:
            _thread.ask = None
            with self._change:
                self._pass(place)
                self._be_done(place)

    def held_by(self, place: int) -> int:
        """The number of pixels that a place has room for."""
        return self._held.get(place, 0)

    def leave(self, place: int) -> None:
        """Free the room of a place whose image is no longer needed; its reading can still be going on."""
        with self._change:
            self._held.pop(place, None)
            self._be_done(place)

    def open(self) -> None:
        """End all waiting, now and later."""
        with self._change:
            self._is_open = True
            self._change.notify_all()

    def _ask(self, place: int, pixels: int) -> None:
        with self._change:
            self._change.wait_for(lambda: self._is_open or place < self._turn or self._may_enter(place, pixels))
            self._held[place] = self.held_by(place) + pixels
            self._pass(place)

    def _may_enter(self, place: int, pixels: int) -> bool:
        held = sum(self._held.values())
        return place == self._turn and (not held or held + pixels <= self.limit)

    def _pass(self, place: int) -> None:
        if place >= self._turn:
            self._passed.add(place)
        while self._turn in self._passed:
            self._passed.remove(self._turn)
            self._turn += 1
        self._change.notify_all()

    def _be_done(self, place: int) -> None:
        if place in self._half_done:
            self._half_done.remove(place)
            self._held.pop(place, None)
        else:
            self._half_done.add(place)
        self._change.notify_all()
