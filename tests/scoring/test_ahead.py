"""Reading ahead keeps the order and holds few images."""

import threading

import pytest

from pyiqa_moeagiqa.images.room import Room
from pyiqa_moeagiqa.scoring.ahead import read_ahead


def test_items_come_in_order_with_what_was_read():
    pairs = read_ahead(lambda item: 10 * item, range(50), ahead=3, room=Room())
    assert [(item, future.result()) for item, future in pairs] == [(item, 10 * item) for item in range(50)]


def test_no_more_is_read_than_was_asked_for():
    taken = []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    pairs = read_ahead(lambda item: item, items(), ahead=5, room=Room())
    for _ in range(10):
        next(pairs)
    assert len(taken) == 10 + 5
    pairs.close()
    assert len(taken) == 10 + 5


def test_images_are_read_while_others_are_scored():
    both = threading.Barrier(2, timeout=30)
    pairs = read_ahead(lambda item: item == 1 and both.wait(), range(3), ahead=2, room=Room())
    next(pairs)
    both.wait()  # would never pass if item 1 were read only once it is asked for


def test_what_reading_raises_comes_out_at_its_item():
    def read(item):
        if item == 1:
            raise OSError('no')
        return item

    (_, first), (_, second), (_, third) = read_ahead(read, range(3), ahead=3, room=Room())
    assert (first.result(), third.result()) == (0, 2)
    with pytest.raises(OSError, match='no'):
        second.result()
