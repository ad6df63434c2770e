"""Images of different sizes are said to be so; only their headers are read."""

import os

import pytest
from PIL import Image

from pyiqa_moeagiqa.scoring.sizes import size_note


@pytest.fixture
def image(tmp_path):
    def make(name, width, height):
        Image.new('RGB', (width, height)).save(tmp_path / name)
        return tmp_path / name

    return make


def test_sizes_that_differ_within_a_group_are_said(image):
    small, other, large = image('a.png', 512, 512), image('b.png', 640, 512), image('c.jpg', 1024, 1024)
    note = size_note([[small, other], [str(large), small]], 'moeagiqa')
    assert note == (
        'The images differ in size (512 x 512 to 1024 x 1024 pixels): scores fall by about .15 when a 512 px picture is '
        'enlarged to 1024, so compare like with like.'
    )
    assert '(512 x 512 to 640 x 512 pixels)' in size_note([[small, other], [large]], 'moeagiqa')
    assert '.15' not in size_note([[small, large]], 'entropy')


def test_one_size_in_each_group_is_nothing_to_say(image):
    small, large = image('a.png', 64, 64), image('b.png', 128, 128)
    assert size_note([[small], [large], []], 'moeagiqa') is None


def test_forms_of_one_size_are_alike(image):
    assert size_note([[image('a.png', 832, 1216), image('b.png', 1024, 1024)]], 'moeagiqa') is None


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='there are no pipes here')
def test_what_is_no_image_does_not_count(image, tmp_path):
    (tmp_path / 'damaged.png').write_bytes(b'no image')
    os.mkfifo(tmp_path / 'pipe.png')
    others = [tmp_path / name for name in ('damaged.png', 'pipe.png', 'gone.png', '')]
    assert size_note([[image('a.png', 64, 64), *others]], 'moeagiqa') is None


def test_only_headers_are_read(image):
    path = image('a.png', 2000, 2000)
    path.write_bytes(path.read_bytes()[:100])
    assert '64 x 64 to 2000 x 2000' in size_note([[path, image('b.png', 64, 64)]], 'moeagiqa')
