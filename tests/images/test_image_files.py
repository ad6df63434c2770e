"""Image files of strangers: only pictures are opened, and what is wrong with one is a sentence."""

import io
import os
import random
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from pyiqa_moeagiqa.images import files as image_files
from pyiqa_moeagiqa.images.read import ImageError, read_image
from pyiqa_moeagiqa.prompts import metadata_prompt

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)
FRAMES = {'save_all': True, 'append_images': [Image.new('RGB', (64, 48), 'red'), Image.new('RGB', (64, 48), 'blue')]}


def saved(kind: str, image: Image.Image = PICTURE, **options) -> bytes:
    buffer = io.BytesIO()
    image.copy().save(buffer, kind, **options)
    return buffer.getvalue()


def said_of(source) -> str:
    with pytest.raises(ImageError) as error:
        read_image(source)
    assert '\n' not in str(error.value)
    return str(error.value)


def chunks(png: bytes) -> list[tuple[bytes, int]]:
    """Kind and first byte of the content of every chunk."""
    found, place = [], 8
    while place < len(png):
        found.append((png[place + 4 : place + 8], place + 8))
        place += 12 + int.from_bytes(png[place : place + 4], 'big')
    return found


def with_texts(**options) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text('before', 'a cat')
    png, text = saved('PNG', pnginfo=info, **options), b'tEXtbehind\0a dog'
    behind = struct.pack('>I', len(text) - 4) + text + struct.pack('>I', zlib.crc32(text))
    return png[:-12] + behind + png[-12:]


@pytest.mark.parametrize('png', [with_texts(), with_texts(**FRAMES)], ids=['PNG', 'APNG'])
def test_a_wrong_checksum_of_any_chunk_is_seen(png):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert read_image(png).shape == (3, 48, 64)
    found = chunks(png)
    assert {b'IHDR', b'tEXt', b'IDAT', b'IEND'} <= {kind for kind, _ in found}
    for _, place in found:
        damaged = bytearray(png)
        damaged[place if damaged[place : place + 1] else -1] ^= 1  # IEND has no content, but a checksum
        assert 'the image is damaged: a checksum of it is wrong' in said_of(bytes(damaged))


def test_pixels_that_decode_are_refused_when_their_checksum_is_wrong():
    png = bytearray(saved('PNG'))
    png[-13] ^= 1  # the last byte of the pixels' checksum
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(bytes(png)))), PIXELS)  # Pillow does not look at it
    assert 'a checksum of it is wrong' in said_of(bytes(png))
    assert 'a checksum of it is wrong' in said_of(Image.open(io.BytesIO(bytes(png))))


def test_a_png_cut_behind_its_pixels_is_truncated():
    assert 'the image is truncated' in said_of(saved('PNG')[:-12])
    assert read_image(saved('PNG') + b'more').shape == (3, 48, 64)


def test_where_pixels_are_decoded_already_no_file_is_looked_at():
    image = Image.open(io.BytesIO(with_texts()))
    image.load()
    assert read_image(image).shape == (3, 48, 64)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', 'AVIF', 'JPEG2000', 'PPM', 'TGA', 'MPO'])
def test_pictures_are_read(kind, tmp_path):
    (tmp_path / 'a').write_bytes(saved(kind))
    assert read_image(tmp_path / 'a').equal(read_image(saved(kind)))


FOREIGN = {
    'EPS': b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n',
    'PSD': b'8BPS' + struct.pack('>H6xHIIHH', 1, 3, 8, 8, 8, 3) + bytes(206),
    'FITS': b''.join(line.ljust(80) for line in (b'SIMPLE  =                    T', b'END')).ljust(2880),
    'GRIB': b'GRIB' + bytes(3) + b'\1' + bytes(50),
    'HDF5': b'\x89HDF\r\n\x1a\n' + bytes(50),
    'BUFR': b'BUFR' + bytes(50),
    'WMF': b'\xd7\xcd\xc6\x9a' + struct.pack('<H4hH', 0, 0, 0, 9, 9, 72) + bytes(4) + b'\1\0\t\0' + bytes(20),
    'ICO': saved('ICO'),
    'PCX': saved('PCX'),
    'text': b'<html>' * 20,
}


@pytest.mark.parametrize('kind', FOREIGN)
def test_what_is_no_picture_is_not_opened_whatever_its_name(kind, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('another program was started')

    monkeypatch.setattr('subprocess.Popen', refuse)
    (tmp_path / 'a.png').write_bytes(FOREIGN[kind])
    assert said_of(tmp_path / 'a.png').startswith(f'{tmp_path / "a.png"}: no image that Pillow can read as JPEG, PNG')
    assert metadata_prompt(tmp_path / 'a.png') is None


def test_tga_is_known_by_its_name_or_its_end(tmp_path):
    old = saved('TGA').removesuffix(image_files.TGA_END)
    assert 'no image that Pillow can read' in said_of(old)
    (tmp_path / 'a.TGA').write_bytes(old)
    assert read_image(tmp_path / 'a.TGA').shape == (3, 48, 64)


@pytest.mark.parametrize('source', [b'', 'empty.png', 'empty.heic'])
def test_an_empty_file_is_called_empty(source, tmp_path):
    if source:
        source = tmp_path / source
        source.touch()
    assert 'the file is empty' in said_of(source)


@pytest.mark.parametrize('make', ['mkfifo', 'socket'])
def test_a_special_file_is_named_and_not_waited_for(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's name has to be short
    if make == 'mkfifo':
        os.mkfifo('a.png')
    else:
        socket = pytest.importorskip('socket')
        if not hasattr(socket, 'AF_UNIX'):
            pytest.skip('this system has no sockets among its files')
        with socket.socket(socket.AF_UNIX) as made:
            made.bind('a.png')
    assert said_of('a.png') == 'a.png: it is a pipe, device or socket; save the image as a file.'
    assert metadata_prompt('a.png') is None


@pytest.mark.parametrize('name', ['gone.png', 'null\0.png', 'x' * 5000, '\udcff.png'])
def test_a_name_without_a_file(name, tmp_path):
    assert 'there is no such image file' in said_of(f'{tmp_path}/{name}')


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / 'a.png').write_bytes(saved('PNG'))

    def refuse(*args, **kwargs):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(image_files, 'open', refuse, raising=False)
    assert 'it cannot be opened (Permission denied)' in said_of(tmp_path / 'a.png')


@pytest.mark.parametrize('error', [IndexError, TypeError, KeyError, RuntimeError, struct.error, ZeroDivisionError, OverflowError, AttributeError])  # fmt: skip
def test_whatever_a_decoder_raises_is_a_sentence(error, monkeypatch):
    def fail(image):
        raise error('in two\nlines')

    monkeypatch.setattr(ImageFile.ImageFile, 'load', fail)
    assert said_of(saved('BMP')).startswith('image: the image is damaged or truncated (')


def test_no_memory_and_too_many_pixels_are_told_apart(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    assert 'Raise PIL.Image.MAX_IMAGE_PIXELS' in said_of(saved('PNG'))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 2000)
    with warnings.catch_warnings():
        warnings.simplefilter('error', Image.DecompressionBombWarning)
        assert 'Raise PIL.Image.MAX_IMAGE_PIXELS' in said_of(saved('PNG'))
    monkeypatch.undo()

    def fail(image):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, 'load', fail)
    assert 'there is not enough memory' in said_of(saved('BMP'))


def test_frames_are_not_counted():
    frame = b'\x2c' + struct.pack('<HHHH', 0, 0, 1, 1) + b'\0' + b'\x02\x02\x44\x01\0'
    gif = b'GIF89a' + struct.pack('<HH', 64, 64) + b'\x80\0\0' + bytes(6) + frame * 5 + b'\x2c'  # the sixth is damaged
    with pytest.warns(UserWarning, match='more than one frame'):
        assert read_image(gif).shape == (3, 64, 64)


def test_a_jpeg_of_ever_more_scans_is_refused():
    jpeg = saved('JPEG', progressive=True)
    assert read_image(jpeg).shape == (3, 48, 64)
    last = jpeg.rindex(b'\xff\xda')
    many = jpeg[:last] + jpeg[last:-2] * (image_files.MOST_SCANS + 1) + jpeg[-2:]
    assert 'scans, and no picture needs more than' in said_of(many)


def isobmff(brand: bytes, *others: bytes) -> bytes:
    brands = brand + bytes(4) + b''.join(others)
    return struct.pack('>I', 8 + len(brands)) + b'ftyp' + brands + bytes(100)


@pytest.mark.parametrize('head', [isobmff(b'heic', b'mif1'), isobmff(b'mif1', b'heic'), isobmff(b'hevc')])
def test_heic_names_what_reads_it(head, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__('sys').modules, 'pillow_heif', None)
    (tmp_path / 'a.heic').write_bytes(head)
    assert said_of(tmp_path / 'a.heic').endswith("HEIC is read by pillow-heif: pip install 'pyiqa-moeagiqa[heif]'.")


def test_avif_names_what_reads_it(monkeypatch):
    monkeypatch.setattr(image_files, 'FORMATS', ('JPEG', 'PNG'))
    monkeypatch.setattr(image_files.features, 'check', lambda feature: False)
    assert "pip install 'pillow>=11.3'" in said_of(saved('AVIF'))
    assert "pip install 'pillow>=11.3'" in said_of(isobmff(b'mif1', b'avif'))


def test_a_damaged_avif_is_called_damaged():
    assert said_of(isobmff(b'avif')).endswith('damaged or truncated; save it again.')


def test_heic_is_read(tmp_path):
    heif = pytest.importorskip('pillow_heif', reason='pillow-heif is not installed: it is in the extra "heif"')
    smooth = Image.linear_gradient('L').resize((64, 48)).convert('RGB')
    heif.from_pillow(smooth).save(tmp_path / 'a.heic', quality=95)
    data = (tmp_path / 'a.heic').read_bytes()
    image = read_image(tmp_path / 'a.heic')
    assert image.shape == (3, 48, 64)
    assert np.abs(image.permute(1, 2, 0).numpy().astype(int) - np.asarray(smooth)).mean() < 4
    assert read_image(data[:8] + b'mif1' + data[12:]).equal(image)  # as other programs name the same
    assert 'damaged or truncated' in said_of(data[:400])


KINDS = {
    'png': saved('PNG'),
    'apng': saved('PNG', **FRAMES),
    'gif': saved('GIF', **FRAMES),
    'jpeg': saved('JPEG', progressive=True),
    'webp': saved('WEBP', **FRAMES),
    'tiff': saved('TIFF', compression='tiff_lzw'),
    'pages': saved('TIFF', **FRAMES),
    'avif': saved('AVIF', **FRAMES),
    'jp2': saved('JPEG2000'),
    'bmp': saved('BMP', PICTURE.convert('P')),
    'tga': saved('TGA', compression='tga_rle'),
    'ppm': saved('PPM'),
}


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('kind', KINDS)
def test_damage_is_an_image_error_or_an_image(kind, capfd):
    chance, read = random.Random(kind), 0
    for _ in range(60):
        damaged = bytearray(KINDS[kind])
        for _ in range(chance.randint(1, 12)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        del damaged[len(damaged) - chance.choice((0, 0, chance.randrange(len(damaged)))) :]
        try:
            image = read_image(bytes(damaged))
        except ImageError:
            continue
        assert image.shape[0] == 3
        read += 1
        if kind in ('png', 'apng'):
            assert bytes(damaged).startswith(KINDS[kind]) or _is_whole(bytes(damaged))
    assert read < 60


def _is_whole(png: bytes) -> bool:
    return all(
        zlib.crc32(png[place - 4 : place + size]) == int.from_bytes(png[place + size : place + size + 4], 'big')
        for _, place in chunks(png)
        for size in [int.from_bytes(png[place - 8 : place - 4], 'big')]
    )
