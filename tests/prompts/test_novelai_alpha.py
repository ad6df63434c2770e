"""NovelAI's copy of its metadata in the lowest bits of alpha, written as its own script reads them (nai_meta.py)."""

import gzip
import io
import json

import numpy as np
import pytest
from PIL import Image

from pyiqa_moeagiqa.prompts import metadata_prompt
from pyiqa_moeagiqa.prompts.novelai_alpha import alpha_fields

NOVELAI = json.dumps({'Software': 'NovelAI', 'Comment': json.dumps({'prompt': '{a cat}, snow', 'uc': 'dog'})}).encode()
INFOTEXT = b'a (red:1.2) cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a'


def pixels(width, height, alpha=255):
    image = np.random.default_rng(1).integers(0, 256, (height, width, 4), np.uint8)
    image[..., 3] = alpha
    return image


def signed(width, height, text=NOVELAI, signature=b'stealth_pngcomp', length=None):
    """Pixels whose alpha's lowest bits, column by column, say what they are, how long, and the text."""
    data = gzip.compress(text) if signature.endswith(b'comp') else text
    data = signature + (8 * len(data) if length is None else length).to_bytes(4, 'big') + data
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    image = pixels(width, height)
    alpha = image[..., 3].T.reshape(-1)
    alpha[: len(bits)] = alpha[: len(bits)] & 254 | bits
    image[..., 3] = alpha.reshape(width, height).T
    return image


def saved(path, image, **options):
    Image.fromarray(image).save(path, **options)
    return path


@pytest.mark.parametrize(('width', 'height'), [(64, 256), (300, 119), (500, 8)])
def test_a_png(tmp_path, width, height):
    assert metadata_prompt(saved(tmp_path / 'a.png', signed(width, height))) == (
        'a cat, snow',
        'PNG metadata of NovelAI',
    )


def test_a_webp(tmp_path):
    path = saved(tmp_path / 'a.webp', signed(64, 256), lossless=True, exact=True)
    assert metadata_prompt(path) == ('a cat, snow', 'WEBP metadata of NovelAI')


def test_infotext_of_automatic1111s_extension(tmp_path):
    for signature in (b'stealth_pnginfo', b'stealth_pngcomp'):
        path = saved(tmp_path / 'a.png', signed(64, 256, INFOTEXT, signature))
        assert metadata_prompt(path) == ('a red cat', 'PNG metadata of AUTOMATIC1111')


@pytest.mark.parametrize('kind', range(5))
def test_each_of_pngs_filters_is_undone(tmp_path, kind):
    import zlib

    image, rows = signed(64, 256).astype(int), []
    for y, row in enumerate(image):
        above = image[y - 1] if y else np.zeros_like(row)
        left, corner = np.vstack([np.zeros((1, 4), int), row[:-1]]), np.vstack([np.zeros((1, 4), int), above[:-1]])
        guess = left + above - corner
        distances = np.abs(np.stack([guess - left, guess - above, guess - corner]))
        paeth = np.choose(distances.argmin(0), [left, above, corner])
        predicted = (np.zeros_like(row), left, above, (left + above) // 2, paeth)[kind]
        rows.append(bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes())

    def chunk(name, data):
        return len(data).to_bytes(4, 'big') + name + data + zlib.crc32(name + data).to_bytes(4, 'big')

    head = (64).to_bytes(4, 'big') + (256).to_bytes(4, 'big') + b'\x08\x06\0\0\0'
    packed = zlib.compress(b''.join(rows))
    parts = (packed[:1000], packed[1000:])  # pixels may come in several chunks
    whole = (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', head)
        + b''.join(chunk(b'IDAT', part) for part in parts)
        + chunk(b'IEND', b'')
    )
    assert metadata_prompt(io.BytesIO(whole)) == ('a cat, snow', 'PNG metadata of NovelAI')


@pytest.mark.parametrize(
    'image',
    [
        signed(64, 256, length=0),
        signed(64, 256, length=2**32 - 1),
        signed(64, 256, b'{"Comment": 3', b'stealth_pnginfo')[:130],
        signed(64, 256, b'\xff' * 50, b'stealth_pnginfo'),
        signed(400, 256, bytes(8 << 20)),
    ],
    ids=['nothing', 'longer than the image', 'cut', 'no text', 'packed to burst'],
)
def test_damaged_bits_say_nothing(tmp_path, image):
    assert metadata_prompt(saved(tmp_path / 'a.png', image)) is None


def test_no_pixel_is_decoded_without_the_signature(tmp_path, monkeypatch):
    paths = [saved(tmp_path / f'{alpha}.png', pixels(300, 300, alpha)) for alpha in (255, 254, 0)]
    monkeypatch.setattr('PIL.PngImagePlugin.PngImageFile.load', lambda self: pytest.fail('pixels were decoded'))
    for path in paths:
        with Image.open(path) as image:
            assert alpha_fields(image) == {}
