"""A file is there whole or not at all."""

import os
from pathlib import Path

import pytest

from pyiqa_moeagiqa.whole_file import require_place, whole_file


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    path = tmp_path / 'new' / 'file.txt'
    with whole_file(path) as part:
        part.write_text('all of it')
        assert not path.exists()
    assert path.read_text() == 'all of it'
    assert list(path.parent.iterdir()) == [path]


def write_half(path):
    with whole_file(path) as part:
        part.write_text('half')
        raise OSError('the disk is full')


def test_where_writing_fails_the_older_file_stays(tmp_path):
    path = tmp_path / 'file.txt'
    path.write_text('older')
    with pytest.raises(OSError, match='full'):
        write_half(path)
    assert path.read_text() == 'older'
    assert list(tmp_path.iterdir()) == [path]


def pipe(path):
    os.mkfifo(path)


@pytest.mark.parametrize('make', [pipe, Path.mkdir])
@pytest.mark.parametrize('use', [write_half, require_place])
def test_what_is_no_file_is_named_and_left_as_it_is(tmp_path, make, use):
    path = tmp_path / 'file.txt'
    make(path)
    with pytest.raises(OSError, match='not a file') as refused:
        use(path)
    assert refused.value.filename == str(path)
    assert list(tmp_path.iterdir()) == [path]
    assert not path.is_file()


def test_a_device_is_not_replaced():
    with pytest.raises(OSError, match='not a file'):
        write_half(Path('/dev/null'))
    assert Path('/dev/null').is_char_device()


@pytest.mark.parametrize('use', [write_half, require_place])
def test_a_place_below_a_file_is_refused(tmp_path, use):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(OSError, match='file'):
        use(tmp_path / 'file' / 'sub' / 'file.txt')


def test_an_error_names_the_file_and_not_its_part(tmp_path):
    path = tmp_path / ('x' * 250)  # with what a part's name has more, too long for a file system
    for use in (write_half, require_place):
        with pytest.raises(OSError, match='too long') as refused:
            use(path)
        assert refused.value.filename == str(path)


def test_asking_for_a_place_leaves_nothing(tmp_path):
    require_place(tmp_path / 'new' / 'file.txt')
    assert list((tmp_path / 'new').iterdir()) == []
