"""Memory by pixels, not by count: threads that read images side by side ask for room before they decode one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

PIXELS = 100_000_000  # at 7 bytes each while one is decoded, 700 MB

_thread = threading.local()


def ask_for_room(pixels: int) -> None:
    """Wait until an image of so many pixels may be decoded; at once in threads that share no ``Room``."""
    ask = getattr(_thread, 'ask', None)
    if ask:
        ask(pixels)


class Room:
    """At most ``PIXELS`` pixels are held at once, but for an image that is larger and is held alone.

    Readers have places 0, 1, 2 ... and must start in their order. Room is given in this order, too: so what is needed first
    never waits for what is needed later.
    """

    def __init__(self):
        self.limit = PIXELS
        self._held: dict[int, int] = {}
        self._passed: set[int] = set()  # places that have room or need none, behind the one whose turn it is
        self._half_done: set[int] = set()  # places that were read or left, and not yet both
        self._turn, self._is_open = 0, False
        self._change = threading.Condition()

    @contextmanager
    def reading(self, place: int) -> Iterator[None]:
        """Within, ``ask_for_room`` of this thread asks here."""
        _thread.ask = partial(self._ask, place)
        try:
            yield
        finally:
            _thread.ask = None
            with self._change:
                self._pass(place)
                self._be_done(place)

    def held_by(self, place: int) -> int:
        """How many pixels a place has room for."""
        return self._held.get(place, 0)

    def leave(self, place: int) -> None:
        """What was read at this place is no longer needed; it may still be in the midst of being read."""
        with self._change:
            self._held.pop(place, None)
            self._be_done(place)

    def open(self) -> None:
        """Nobody waits from now on."""
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
