"""Reading ahead keeps the order, holds few images, and sorts what is said by thread."""

import threading
import warnings

import pytest

from pyiqa_moeagiqa.room import Room
from pyiqa_moeagiqa.scoring.ahead import Notes, read_ahead


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


def test_each_thread_hears_its_own_warnings():
    both = threading.Barrier(2, timeout=30)
    heard = {}

    def speak(notes, name):
        with notes.taken() as said:
            both.wait()
            for _ in range(2):
                warnings.warn(f'from {name}', stacklevel=2)
            both.wait()
        heard[name] = said

    with Notes() as notes:
        threads = [threading.Thread(target=speak, args=(notes, name)) for name in 'ab']
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert heard == {'a': ['from a'], 'b': ['from b']}


def test_what_nobody_takes_is_shown_as_before():
    with pytest.warns(UserWarning, match='of nobody'), Notes() as notes, notes.taken() as said:
        threading.Thread(target=warnings.warn, args=('of nobody',)).start()
    assert said == []
    with pytest.warns(UserWarning, match='afterwards'):
        warnings.warn('afterwards', stacklevel=2)
