"""Whatever a picture is stored as, it is scored as a person sees it, or refused in one sentence."""

import io
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile, ImageOps

from pyiqa_moeagiqa.images import pixels
from pyiqa_moeagiqa.images.read import ImageError, check_prompts, read_image, read_images

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def file_bytes(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def picture():
    return Image.fromarray(RGB)


def test_path_pil_bytes_and_tensor_agree(tmp_path, picture):
    picture.save(tmp_path / 'a.png')
    expected = torch.from_numpy(RGB).permute(2, 0, 1)
    for source in (tmp_path / 'a.png', str(tmp_path / 'a.png'), picture, file_bytes(picture, 'PNG')):
        assert read_image(source).equal(expected)
    assert read_image(expected / 255).equal(expected / 255)


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'LA', 'RGBA', 'CMYK', 'YCbCr'])
def test_every_mode_becomes_rgb(picture, mode):
    image = read_image(picture.convert(mode))
    assert image.shape == (3, 20, 30)
    assert image.dtype == torch.uint8


def test_transparency_shows_white():
    image = Image.new('RGBA', (8, 8), (0, 0, 0, 0))
    assert read_image(image).eq(255).all()
    half = read_image(Image.new('RGBA', (8, 8), (0, 0, 0, 128)))
    assert 125 <= half.float().mean() <= 129


def test_a_palette_with_a_transparent_colour_shows_white():
    image = Image.new('P', (4, 4), 0)
    image.putpalette([255, 0, 0] + [0] * 765)
    image.info['transparency'] = 0
    assert read_image(image).eq(255).all()


def test_sixteen_bits_keep_their_depth():
    grey = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    image = read_image(file_bytes(Image.fromarray(grey), 'PNG'))
    torch.testing.assert_close(image[0], torch.from_numpy(grey.astype(np.float32) / 65535))
    assert image[0].equal(image[2])


def test_exif_rotation_is_applied(picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(file_bytes(picture, 'PNG', exif=exif)).shape == (3, 30, 20)


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'P', 'L', 'I;16', 'F'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_strips_and_every_orientation_give_the_picture_that_pillow_turns(mode, orientation, monkeypatch):
    monkeypatch.setattr(pixels, 'STRIP', 100)  # three rows at once
    if mode in ('I;16', 'F'):
        grey = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
        picture = Image.fromarray(grey if mode == 'F' else (grey * 65535).astype(np.uint16))
    else:
        picture = Image.fromarray(np.dstack([RGB, RGB[..., 0]])).convert(mode)
    picture.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(picture)
    if mode in ('RGBA', 'P'):  # Pillow's palette has transparent colours here
        upright = Image.alpha_composite(Image.new('RGBA', upright.size, 'white'), upright.convert('RGBA'))
    scale = {'I;16': 65535, 'F': 1}.get(mode)
    expected = np.asarray(upright, np.float32)[..., None] / scale if scale else np.asarray(upright.convert('RGB'))
    found = read_image(picture)
    assert found.expand(3, -1, -1).permute(1, 2, 0).numpy() == pytest.approx(np.broadcast_to(expected, (*expected.shape[:2], 3)))  # fmt: skip


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'P', 'LA', 'CMYK', 'L'])
def test_no_second_copy_of_a_large_picture_is_made(mode, monkeypatch):
    picture = Image.new('RGBA', (2000, 1000), (200, 100, 50, 80)).convert(mode)
    converted = []
    convert = Image.Image.convert
    monkeypatch.setattr(
        Image.Image, 'convert', lambda im, *to, **how: converted.append(im.size) or convert(im, *to, **how)
    )
    tracemalloc.start()
    try:
        assert read_image(picture).shape == (3, 1000, 2000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000 * 3 + 8 * pixels.STRIP
    assert all(width * height <= pixels.STRIP for width, height in converted)


def test_a_wrong_value_in_any_strip_is_seen(monkeypatch):
    monkeypatch.setattr(pixels, 'STRIP', 100)
    for wrong, words in ((float('nan'), 'NaN or infinite'), (float('inf'), 'NaN or infinite'), (-3.0, 'from -3 to 0')):
        grey = np.zeros((20, 30), np.float32)
        grey[13, 7] = wrong
        with pytest.raises(ImageError, match=words):
            read_image(Image.fromarray(grey))


def test_the_first_frame_of_an_animation_is_scored_and_said_so(picture):
    data = file_bytes(picture, 'GIF', save_all=True, append_images=[Image.new('RGB', (30, 20))])
    with pytest.warns(UserWarning, match='image has more than one frame: the first') as said:
        assert read_image(data).shape == (3, 20, 30)
    assert said[0].filename == __file__
    assert read_images([picture, data]).notes == ['image 1 has more than one frame: the first one is scored.']


def test_one_pixel_and_a_grey_tensor():
    assert read_image(torch.rand(1, 1, 1)).shape == (3, 1, 1)


def test_a_list_may_mix_sizes_and_kinds(picture):
    sizes = [tuple(image.shape) for image in read_images([picture, torch.rand(3, 5, 5), torch.rand(1, 9, 2)])]
    assert sizes == [(3, 20, 30), (3, 5, 5), (3, 9, 2)]


REFUSED = {
    'nan': (torch.full((3, 4, 4), float('nan')), 'NaN'),
    'infinity': (torch.full((3, 4, 4), float('inf')), 'infinite'),
    'bytes as numbers': (torch.full((3, 4, 4), 200.0), r'from 200 to 200: scale them to \[0, 1\]'),
    'slightly outside': (torch.full((3, 4, 4), 1.01), r'scale them'),
    'two channels': (torch.rand(2, 4, 4), r'\(2, 4, 4\)'),
    'five channels': (torch.rand(5, 4, 4), r'\(5, 4, 4\)'),
    'no pixels': (torch.rand(3, 0, 4), 'at least one pixel'),
    'uint8 tensor': (torch.zeros(3, 4, 4, dtype=torch.uint8), 'divide by 255'),
    'a number': (3, 'type int'),
    'no such file': ('nowhere.png', r'nowhere\.png: there is no such image file'),
    'no image': (b'hello, I am text', 'no image that Pillow can read as JPEG'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_is_no_picture_is_refused(name):
    source, words = REFUSED[name]
    with pytest.raises(ImageError, match=words):
        read_images(source if not isinstance(source, torch.Tensor) else source[None])


def test_rounding_outside_the_range_is_forgiven():
    assert read_image(torch.full((3, 4, 4), 1 + 1e-6)).shape == (3, 4, 4)


@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'WEBP', 'TIFF'])
def test_a_truncated_file_is_refused(picture, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)  # as one of pyiqa's data sets leaves it
    data = file_bytes(picture.resize((300, 300)), kind)
    path = tmp_path / f'cut.{kind.lower()}'
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=str(path)):
        read_image(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_threads_refuse_truncated_files_while_others_read(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)
    data = file_bytes(picture.resize((300, 300)), 'JPEG')
    (tmp_path / 'whole.jpg').write_bytes(data)
    (tmp_path / 'cut.jpg').write_bytes(data[: len(data) // 2])

    def read(number):
        try:
            return read_image(tmp_path / ('cut.jpg' if number % 2 else 'whole.jpg')) is not None
        except ImageError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(400))) == [True, False] * 200
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_truncated_picture_given_as_pil_is_refused(picture):
    data = file_bytes(picture.resize((300, 300)), 'JPEG')
    with pytest.raises(ImageError, match='image 0: the image is damaged'):
        read_images([Image.open(io.BytesIO(data[: len(data) // 2]))])


@pytest.mark.parametrize(
    ('prompts', 'words'),
    [
        (None, 'No prompt was given'),
        (['a'], '1 prompts were given for 2 images'),
        (['a', 3], 'Prompt 1 is 3 of type int'),
    ],
)
def test_prompts_that_cannot_be_used(prompts, words):
    with pytest.raises(ValueError, match=words):
        check_prompts(prompts, 2)


def test_none_and_na_are_prompts():
    assert check_prompts(['None', 'NA'], 2) == ['None', 'NA']
