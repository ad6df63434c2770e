"""Opens image files as untrusted data: picture formats only, with one sentence for any error.

| format | is a change of its pixels detected? |
|---|---|
| PNG, APNG | yes: a checksum for each chunk, all of which are compared |
| TIFF with deflate | yes: a checksum for each strip |
| JPEG, MPO, WebP, GIF, BMP, other TIFF, AVIF, HEIC, JPEG 2000, PPM, TGA | no: they have no checksum. A file that does not |
| | decode is refused; one that decodes to other pixels goes unnoticed |

No other format is opened, although Pillow knows more: documents that it hands to other programs (EPS, WMF), containers of
scientific data (FITS, GRIB, HDF5) and formats of games and icons. The content decides the format, not the name. The exception is
TGA: it has no signature, so that any bytes can pass for it, and its file name counts, too.
"""

import os
import stat
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError, features

from ..options import quoted

FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', 'AVIF', 'JPEG2000', 'PPM')  # JPEG includes MPO
ENDINGS = frozenset(
    '.avif .bmp .gif .heic .heif .jfif .jpeg .jpg .jp2 .pbm .pgm .png .ppm .tga .tif .tiff .webp'.split()  # noqa: SIM905
)
NAMES = 'JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, JPEG 2000, PPM or TGA'
PNG_START = b'\x89PNG\r\n\x1a\n'
TGA_ENDINGS, TGA_END = ('.tga', '.vda', '.icb', '.vst'), b'TRUEVISION-XFILE.\0'
AVIF_BRANDS, HEIF_BRANDS = {b'avif', b'avis'}, {b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1'}
MOST_SCANS = 100  # of a progressive JPEG; about ten are usual, and each takes the time of a whole image
PIECE = 1 << 20  # bytes that are read at once


class ImageError(ValueError):
    """An image that cannot be scored; the message is one sentence."""


@contextmanager
def opened(source: Path | str | BinaryIO, name: str) -> Iterator[Image.Image]:
    """Open an image file with Pillow; its pixels are decoded when they are first used.

    Args:
        source: a path, or an open file.
        name: the file's name in messages.

    Raises:
        ImageError: for a file that is not an image, and within the context for pixels that cannot be decoded.
    """
    with errors_named(name):
        if not isinstance(source, str | Path):
            with _identified(source, name) as image:
                yield image
            return
        _check_regular(source, name)
        with open(source, 'rb') as file, _identified(file, name) as image:
            yield image


@contextmanager
def errors_named(name: str) -> Iterator[None]:
    """Turn any error of Pillow and its decoders into an ImageError of one sentence; truncated files are errors, too."""
    try:
        with _strict:
            yield
    except (ImageError, Warning) as error:
        if not isinstance(error, Image.DecompressionBombWarning):  # raised if the user turns warnings into errors
            raise
        raise ImageError(_too_large(name, error)) from None
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(name, error)) from None
    except UnidentifiedImageError:  # it begins like an image
        raise ImageError(f'{name}: the image is damaged or truncated; save it again.') from None
    except MemoryError:
        raise ImageError(f'{name}: there is not enough memory to decode it; make the image smaller.') from None
    except PermissionError as error:
        raise ImageError(f'{name}: it cannot be opened ({error.strerror}); make it readable.') from None
    except Exception as error:  # decoders raise IndexError, TypeError, RuntimeError, struct.error and others
        raise ImageError(f'{name}: the image is damaged or truncated ({quoted(error)}); save it again.') from None


def check_content(image: Image.Image, name: str) -> None:
    """Check what Pillow does not check before it decodes: PNG's checksums, and the number of a progressive JPEG's scans.

    Does nothing if the pixels are decoded already.

    Raises:
        ImageError: if a checksum is wrong, or decoding would take minutes.
    """
    file = getattr(image, 'fp', None)
    is_progressive = image.format in ('JPEG', 'MPO') and image.info.get('progressive')
    if file is None or not getattr(image, 'tile', None) or not (image.format == 'PNG' or is_progressive):
        return
    place = file.tell()
    if is_progressive:
        _check_scans(file, name)
    else:
        _check_png(file, name)
    file.seek(place)


class _Strict:
    """Makes truncated files errors while any thread reads: one of pyiqa's data sets has Pillow fill them up with grey.

    Pillow has one switch for the whole process, so the first reader sets it and the last one restores it.
    """

    def __init__(self) -> None:
        self._lock, self._readers, self._fill_up = threading.Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if not self._readers:
                self._fill_up, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            self._readers += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._fill_up


_strict = _Strict()


def _check_regular(path: Path | str, name: str) -> None:
    """Raise an ImageError unless the path is a regular file: reading a pipe or a device can take for ever."""
    try:
        mode = os.stat(path).st_mode
    except PermissionError:
        raise
    except (OSError, ValueError):  # ValueError: a name with a null character
        raise ImageError(f'{name}: there is no such image file.') from None
    if stat.S_ISDIR(mode):
        raise ImageError(f'{name}: it is a folder, and its images cannot be listed; name an image.')
    if not stat.S_ISREG(mode):
        raise ImageError(f'{name}: it is a pipe, device or socket; save the image as a file.')


@contextmanager
def _identified(file: BinaryIO, name: str) -> Iterator[Image.Image]:
    try:
        image: Image.Image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        image = _open_other(file, name)
    try:
        with image:
            yield image
    finally:
        image.close()  # frees the pixels now, not at the next garbage collection


def _open_other(file: BinaryIO, name: str) -> Image.Image:
    """Open a file that Pillow does not recognise by itself, such as HEIC or TGA.

    Raises:
        ImageError: for any other file, saying what is wrong with it.
    """
    file.seek(0)
    head = file.read(64)
    if not head:
        raise ImageError(f'{name}: the file is empty; save or download it again.')
    if head.startswith(PNG_START):
        _check_png(file, name)
    if head[4:8] == b'ftyp' and (wanted := _iso_format(head, name)):
        return Image.open(file, formats=[wanted])
    if _is_tga(file, name):
        return Image.open(file, formats=['TGA'])
    raise ImageError(f'{name}: no image that Pillow can read as {NAMES}; convert it to PNG or JPEG.')


def _iso_format(head: bytes, name: str) -> str | None:
    """Pillow's name for the format of a file in ISO's container, or None; HEIC needs pillow-heif, which is loaded.

    Raises:
        ImageError: if a reader is missing; the message names the package to install.
    """
    size = int.from_bytes(head[:4], 'big')
    brands = {head[place : place + 4] for place in (8, *range(16, min(size, len(head)), 4))}
    if brands & AVIF_BRANDS:
        if not features.check('avif'):
            raise ImageError(f"{name}: this Pillow reads no AVIF; install one that does: pip install 'pillow>=11.3'.")
        return 'AVIF'
    if not brands & HEIF_BRANDS:
        return None
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise ImageError(f"{name}: HEIC is read by pillow-heif: pip install 'pyiqa-moeagiqa[heif]'.") from None
    register_heif_opener()
    return 'HEIF'


def _is_tga(file: BinaryIO, name: str) -> bool:
    if name.lower().endswith(TGA_ENDINGS):
        return True
    file.seek(max(file.seek(0, os.SEEK_END) - len(TGA_END), 0))
    return file.read() == TGA_END


def _check_png(file: BinaryIO, name: str) -> None:
    """Compare the checksums of all chunks up to IEND, including APNG's."""
    file.seek(len(PNG_START))
    kind = b''
    while kind != b'IEND':
        head = file.read(8)
        left, kind = int.from_bytes(head[:4], 'big'), head[4:]
        checksum = zlib.crc32(kind)
        while left and (piece := file.read(min(left, PIECE))):
            checksum, left = zlib.crc32(piece, checksum), left - len(piece)
        stored = file.read(4)
        if len(stored) < 4:
            raise ImageError(f'{name}: the image is truncated; save or download it again.')
        if checksum != int.from_bytes(stored, 'big'):
            raise ImageError(f'{name}: the image is damaged: a checksum of it is wrong; save or download it again.')


def _check_scans(file: BinaryIO, name: str) -> None:
    file.seek(0)
    scans, last = 0, b''
    while piece := file.read(PIECE):
        scans += (last + piece).count(b'\xff\xda')
        last = piece[-1:]
    if scans > MOST_SCANS:
        raise ImageError(f'{name}: it has {scans} scans, and no picture needs more than {MOST_SCANS}; save it again.')


def _too_large(name: str, error: Exception) -> str:
    return f'{name}: {error} Raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file.'
