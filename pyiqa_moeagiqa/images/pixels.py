"""Converts a Pillow image to a tensor, as a person sees it, strip by strip: this avoids a second copy of the whole."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

STRIP = 1 << 18  # pixels that are converted at once, few enough for the processor's cache

# EXIF orientation -> view of the upright picture in the order in which the file stores it.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


def rgb(image: Image.Image) -> Tensor:
    """Convert to uint8 (3, H, W): upright, on white where it is transparent.

    Memory holds Pillow's pixels (4 bytes each), the result (3 bytes each) and one strip.
    """
    return _upright(image, (3,), np.uint8, _on_white if image.has_transparency_data else _as_rgb).permute(2, 0, 1)


def grey(image: Image.Image, white: int) -> Tensor:
    """Convert an image with one channel of whole numbers or floats to float32 (1, H, W): upright, ``white`` becomes 1."""
    return _upright(image, (), np.float32, lambda strip: np.asarray(strip).astype(np.float32) / white)[None]


def _upright(
    image: Image.Image, channels: tuple[int, ...], dtype: type, convert: Callable[[Image.Image], np.ndarray]
) -> Tensor:
    """Convert all strips into one upright tensor (H, W, *channels)."""
    image.load()  # before EXIF is read: a PNG can store it after the pixels
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    width, height = image.size
    lies_on_its_side = orientation in (5, 6, 7, 8)
    upright: np.ndarray = np.empty(
        (width, height, *channels) if lies_on_its_side else (height, width, *channels), dtype
    )
    stored = STORED[orientation](upright) if orientation in STORED else upright
    for top, strip in _strips(image):
        stored[top : top + strip.height] = convert(strip)
    return torch.from_numpy(upright)


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield full-width strips of an image, each after the number of its first row."""
    rows = max(STRIP // image.width, 1)
    if rows >= image.height:
        yield 0, image
        return
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _as_rgb(strip: Image.Image) -> np.ndarray:
    return np.asarray(strip if strip.mode == 'RGB' else strip.convert('RGB'))


def _on_white(strip: Image.Image) -> np.ndarray:
    return _as_rgb(Image.alpha_composite(Image.new('RGBA', strip.size, 'white'), strip.convert('RGBA')))
