"""Threads that read images hold no more pixels at once than there is room for, whatever their order of starting."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from pyiqa_moeagiqa.data import pictures as data_pictures
from pyiqa_moeagiqa.images.read import read_image
from pyiqa_moeagiqa.images.room import Room, ask_for_room
from pyiqa_moeagiqa.scoring import ahead
from pyiqa_moeagiqa.scoring.ahead import read_ahead, read_batches


class Watched(Room):
    """Notes the most pixels that were held at once, and by how many."""

    def __init__(self):
        super().__init__()
        self.most, self.together = 0, 0

    def _ask(self, place: int, pixels: int) -> None:
        super()._ask(place, pixels)
        with self._change:
            self.most = max(self.most, sum(self._held.values()))
            self.together = max(self.together, len(self._held))


@pytest.fixture
def room(monkeypatch) -> Watched:
    """Room for 100 pixels, which batches are read with."""
    monkeypatch.setattr('pyiqa_moeagiqa.images.room.PIXELS', 100)
    watched = Watched()
    monkeypatch.setattr(ahead, 'Room', lambda: watched)
    return watched


def decode(pixels: int) -> int:
    ask_for_room(pixels)
    time.sleep(0.001)
    return pixels


SIZES = [3, 50, 2, 250, 1, 1, 99, 100, 250, 250, 4, 4, 4, 4, 60, 60, 60] * 3


def test_what_is_read_ahead_is_bounded_and_in_order(room):
    assert [future.result() for _, future in read_ahead(decode, SIZES, 6, room)] == SIZES
    assert room.most <= 250
    assert room.together > 1


def test_a_large_image_is_held_alone(room):
    assert list(read_batches(decode, [250] * 6, 4, 1))
    assert (room.most, room.together) == (250, 1)


def test_batches_end_where_their_pixels_fill_the_room(room):
    batches = [list(batch) for batch in read_batches(decode, [40, 40, 40, 40, 250, 1, 1, 1, 1, 1], 8, 4)]
    assert batches == [[40, 40, 40], [40, 250], [1, 1, 1, 1], [1]]


def test_a_batch_is_emptied_when_the_next_is_asked_for():
    batches = read_batches(decode, [1, 2, 3], 2, 1)
    first = next(batches)
    assert first == [1]
    next(batches)
    assert first != [1]


def test_futures_may_be_left_before_they_are_read(room):
    pairs = list(read_ahead(decode, [250] * 8, 3, room))
    assert [future.result(timeout=30) for _, future in pairs] == [250] * 8


def test_what_is_not_decoded_or_fails_keeps_nobody_waiting(room):
    def read(item):
        if item == 'fails':
            raise OSError
        return decode(item) if item else None

    futures = [future for _, future in read_ahead(read, [250, 'fails', None, 250, 'fails', 7], 4, room)]
    assert [future.exception() is None for future in futures] == [True, False, True, True, False, True]
    assert not room._held


def test_stopping_early_waits_for_nobody(room):
    pairs = read_ahead(decode, iter([250] * 100), 4, room)
    next(pairs)
    started = time.monotonic()
    pairs.close()
    assert time.monotonic() - started < 20


def test_room_is_given_in_the_order_of_places(room):
    entered = []

    def read(place):
        with room.reading(place):
            if not place:
                time.sleep(0.05)  # the others ask first
            ask_for_room(10)
            entered.append(place)
        room.leave(place)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(4)))
    assert entered[0] == 0
    assert sorted(entered) == [0, 1, 2, 3]


def test_a_thread_without_a_room_does_not_wait():
    ask_for_room(10**12)


def test_images_ask_before_they_are_decoded(room, tmp_path):
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / 'a.png')
    with room.reading(0):
        read_image(tmp_path / 'a.png')
    assert room.most == 30 * 40
    assert room.held_by(0) == 30 * 40
    room.leave(0)
    assert room.held_by(0) == 0


def test_a_data_sets_images_are_looked_at_within_the_room(room, tmp_path, monkeypatch):
    paths = [tmp_path / f'{place}.png' for place in range(12)]
    for path in paths:
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(path)
    room.limit = 2 * 30 * 40
    monkeypatch.setattr(data_pictures, 'Room', lambda: room)
    assert all(look.width == 40 for look in data_pictures.for_each(paths, data_pictures.look_at))
    assert 30 * 40 <= room.most <= 2 * 30 * 40
    assert threading.active_count() < 50
