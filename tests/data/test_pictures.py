"""Image files are looked at side by side; none that is damaged passes for whole."""

import shutil

import pytest
from PIL import Image, ImageFile

from pyiqa_moeagiqa.data.pictures import THREADS, for_each, look_at, problem_of


def test_answers_come_in_the_order_of_the_paths():
    paths = [str(place) for place in range(50)]
    assert for_each(paths, int) == list(range(50))
    assert for_each([], int) == []


def test_what_an_image_holds(pictures):
    found = look_at(pictures / 'b.jpg')
    assert found[:3] == (70, 90, 'JPEG RGB')
    assert found != look_at(pictures / 'a.png')


def test_the_same_pixels_are_the_same_content_in_another_file(pictures):
    Image.open(pictures / 'a.png').save(pictures / 'd.bmp')
    assert (
        look_at(pictures / 'a.png').content
        == look_at(pictures / 'd.bmp').content
        != look_at(pictures / 'b.jpg').content
    )


def test_the_same_bytes_in_another_shape_are_another_content(tmp_path):
    for name, size in (('a.png', (2, 3)), ('b.png', (3, 2))):
        Image.new('RGB', size).save(tmp_path / name)
    assert look_at(tmp_path / 'a.png').content != look_at(tmp_path / 'b.png').content


def test_a_truncated_image_is_refused_by_every_thread_whatever_pillow_was_told(pictures, monkeypatch):
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)
    whole = (pictures / 'b.jpg').read_bytes()
    for place in range(10 * THREADS):
        (pictures / f'{place}.jpg').write_bytes(whole[: len(whole) * 2 // 3])
    problems = for_each([pictures / f'{place}.jpg' for place in range(10 * THREADS)], problem_of)
    assert all('the image is damaged or truncated' in problem for problem in problems)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


@pytest.mark.parametrize('name', ['gone.png', 'notes.png'])
def test_what_is_no_image_is_said(pictures, name):
    shutil.copy(__file__, pictures / 'notes.png')
    assert problem_of(pictures / name) == look_at(pictures / name)
    assert problem_of(pictures / name).startswith(str(pictures / name))
    assert problem_of(pictures / 'a.png') is None
