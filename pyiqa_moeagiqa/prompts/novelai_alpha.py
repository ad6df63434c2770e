"""Read NovelAI's copy of its metadata in the alpha channel, which remains when a service removes a file's texts.

The lowest bits of alpha, column by column, spell ``stealth_pngcomp``, four bytes of length (in bits), and JSON packed by gzip.
NovelAI's own script reads them this way (NovelAI/novelai-image-metadata, nai_meta.py). An extension of stable-diffusion-webui
writes AUTOMATIC1111's text in the same way: packed, or as it is after the signature ``stealth_pnginfo``.

Many pictures have alpha and few have this copy, so a PNG's first column is checked before its pixels are decoded: the first
eight rows are unpacked, then further rows as long as their bits spell the signature.
"""

import json
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image

SIGNATURES = (b'stealth_pngcomp', b'stealth_pnginfo')
BITS = 8 * len(SIGNATURES[0])
LARGEST, LARGEST_WEBP = 40_000_000, 5_000_000  # pixels; lower for WebP, which must be decoded to see its first bits
LONGEST = 4 << 20  # bytes, unpacked


def alpha_fields(image: Image.Image) -> dict[str, str]:
    """Return the texts in the alpha channel of an opened PNG or WebP; none if its first bits are not a signature."""
    largest = LARGEST if image.format == 'PNG' else LARGEST_WEBP
    if image.mode != 'RGBA' or image.format not in ('PNG', 'WEBP') or not BITS < image.width * image.height <= largest:
        return {}
    if image.format == 'PNG' and not _is_signed(image):
        return {}
    return _fields(*_payload(image))


def _is_signed(image: Image.Image) -> bool:
    """Whether alpha's lowest bits in a PNG's first column begin a signature."""
    file = getattr(image, 'fp', None)
    if file is None:
        return True
    bits: list[int] = []
    here, above = file.tell(), 0
    try:
        for kind, *_, value in _first_pixels(file, 1 + 4 * image.width):
            above = (value + (0, 0, above, above // 2, above)[kind if kind < 5 else 0]) & 255  # PNG specification, 9.2
            bits.append(above & 1)
            if len(bits) % 8 == 0 and (len(bits) >= BITS or not _begins_signature(bits)):
                break
        return _begins_signature(bits)
    finally:
        file.seek(here)


def _begins_signature(bits: list[int]) -> bool:
    start = np.packbits(bits[: min(BITS, len(bits) // 8 * 8)]).tobytes()
    return bool(start) and any(one.startswith(start) for one in SIGNATURES)


def _first_pixels(file: BinaryIO, row: int) -> Iterator[bytes]:
    """Yield the filter and the first pixel, still filtered, of every row of a PNG; no pixel is to the left of a first one."""
    packer, unpacked = zlib.decompressobj(), b''
    for data in _pixel_data(file):
        while data:
            unpacked += packer.decompress(data, row)
            data = packer.unconsumed_tail
            while len(unpacked) >= row:
                yield unpacked[:5]
                unpacked = unpacked[row:]


def _pixel_data(file: BinaryIO) -> Iterator[bytes]:
    """Yield a PNG's packed pixel data; nothing unless it is 8-bit RGBA and not interlaced."""
    file.seek(16)
    if file.read(13)[8:] != b'\x08\x06\0\0\0':
        return
    file.seek(33)
    while len(head := file.read(8)) == 8:
        length = int.from_bytes(head[:4], 'big')
        while head[4:] == b'IDAT' and length > 0 and (data := file.read(min(length, 4096))):
            length -= len(data)
            yield data
        file.seek(length + 4, os.SEEK_CUR)


def _payload(image: Image.Image) -> tuple[bytes, bytes]:
    """Return the signature and the data after it; both are empty without a signature or with a wrong length."""
    alpha = np.asarray(image.getchannel('A')).T.reshape(-1) & 1
    head = np.packbits(alpha[: BITS + 32]).tobytes()
    name, length = head[: BITS // 8], int.from_bytes(head[BITS // 8 :], 'big')
    if name not in SIGNATURES or not 0 < length <= min(8 * LONGEST, alpha.size - BITS - 32):
        return b'', b''
    return name, np.packbits(alpha[BITS + 32 : BITS + 32 + length]).tobytes()


def _fields(name: bytes, data: bytes) -> dict[str, str]:
    if not data:
        return {}
    if name == SIGNATURES[0]:
        data = zlib.decompressobj(31).decompress(data, LONGEST)
    text = data.decode()
    try:
        values = json.loads(text)
    except ValueError:
        return {'parameters': text}
    values = values if isinstance(values, dict) else {}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
