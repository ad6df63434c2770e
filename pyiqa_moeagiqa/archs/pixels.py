"""From an image of Pillow to a tensor, as a person sees it: strip by strip, so that no second copy of the whole is made."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

STRIP = 1 << 18  # pixels that are converted at once: in a processor's cache they are at hand

# EXIF's orientation -> the upright picture, seen as the file stores it.
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
    """uint8 (3, H, W): upright, on white where it is transparent.

    Beside Pillow's pixels (4 bytes each) there is the answer (3 bytes each), and a strip.
    """
    return _upright(image, (3,), np.uint8, _on_white if image.has_transparency_data else _as_rgb).permute(2, 0, 1)


def grey(image: Image.Image, white: int) -> Tensor:
    """float32 (1, H, W) of an image with one channel of whole numbers or floats: upright, ``white`` is 1."""
    return _upright(image, (), np.float32, lambda strip: np.asarray(strip).astype(np.float32) / white)[None]


def _upright(
    image: Image.Image, channels: tuple[int, ...], dtype: type, convert: Callable[[Image.Image], np.ndarray]
) -> Tensor:
    """All strips, converted, as (H, W, *channels)."""
    image.load()  # before EXIF is asked for: in a PNG it may stand behind the pixels
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    width, height = image.size
    lies_on_its_side = orientation in (5, 6, 7, 8)
    upright = np.empty((width, height, *channels) if lies_on_its_side else (height, width, *channels), dtype)
    stored = STORED[orientation](upright) if orientation in STORED else upright
    for top, strip in _strips(image):
        stored[top : top + strip.height] = convert(strip)
    return torch.from_numpy(upright)


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Full-width parts of an image with the row where each begins."""
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
