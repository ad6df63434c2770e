"""Nested values that anyone may have written: what code stumbles over is refused, in words that fit behind a file's name."""

import datetime

import pytest

from pyiqa_moeagiqa.options import OptionError, shown
from pyiqa_moeagiqa.tree import check_tree


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


def laughs(levels: int) -> list:
    value: list = ['ha'] * 9
    for _ in range(levels):
        value = [value] * 9
    return value


ENDLESS: list = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ('tree', 'said'),
    [
        (nested(31), 'levels deep'),
        (nested(5000), 'levels deep'),
        (ENDLESS, 'in itself'),
        (laughs(9), 'more than 100,000 values'),
        ({1: 2}, 'name 1 is no text'),
        ({'a': {None: 2}}, 'name None is no text'),
        ({'a': datetime.date(2001, 1, 1)}, 'neither text nor a number'),
        ([b'x'], 'neither text nor a number'),
        ({'seed': 10**400}, 'too large'),
        ({'seed': 1 << 20_000}, 'thousands of digits is too large'),
        ({'name': 'a\ud800'}, 'no text file can hold'),
        ({'a\0': 1}, 'no text file can hold'),
    ],
    ids=lambda value: '' if not isinstance(value, str) else value,
)
def test_what_no_option_needs_is_refused(tree, said):
    with pytest.raises(OptionError, match=said) as refused:
        check_tree(tree)
    assert len(str(refused.value)) < 500


def test_what_options_are_is_taken():
    shared = {'lr': 1e-5, 'on': True, 'nothing': None, 'name': 'é 猫', 'list': [1, -2, 3.5]}
    check_tree({'train': shared, 'val': shared, 'deep': nested(28)})


@pytest.mark.parametrize(
    'value',
    [10**400, 1 << 100_000, 'x' * 10_000, laughs(9), ENDLESS, nested(1000), list(range(9999))],
    ids=lambda value: '',
)
def test_a_value_in_an_error_is_short(value):
    assert len(shown(value)) < 600
    assert '\n' not in shown(value)


def test_a_small_value_in_an_error_is_itself():
    for value in ({'a': [1, 'x', None]}, 'a cat', 3.5, True):
        assert shown(value) == repr(value)
