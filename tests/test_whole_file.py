"""A file is there whole or not at all."""

import pytest

from pyiqa_moeagiqa.whole_file import whole_file


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
