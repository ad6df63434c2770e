"""Makes what the network looks at: crops and one resized view of an image.

Crops are cut at the picture's own pixels, as in the released implementation, or show a fixed part of the picture for any
number of its pixels. The view shows the square in the middle, as in the released implementation, or all of the picture. A size is
the side of a square, as there, or a pair of height and width.

All are pure functions of the image. The position of a crop follows from the image's size and the crop's index, never from a
random generator, so that a score does not depend on earlier scores.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import (
    InterpolationMode,
    center_crop,
    resize,
    to_dtype,
    to_pil_image,
)

from .size import Size, height_width

# The R2 low-discrepancy sequence (M. Roberts, 2018): powers of the inverse plastic number cover the plane more
# evenly than random numbers, and every prefix of the sequence is itself well spread. Index 0 is the centre.
PLASTIC = 1.3247179572447460
R2_STEP = torch.tensor([1 / PLASTIC, 1 / PLASTIC**2], dtype=torch.float64, device='cpu')
MAX_ASPECT = 4  # longer side by shorter side of the part that a view shows


def crop_sides(height: int, width: int, size: Size, count: int, scales: Sequence[int] = ()) -> Tensor:
    """Return height and width of each of ``count`` crops in the image's pixels: an integer tensor (count, 2).

    Without ``scales`` they are those of ``size``. With them crops take turns. A crop of scale s shows what would have ``size``
    if the image had as many pixels as a square of s x s, so that a picture and its enlargement show the same. Scale 0
    stands for the image's own pixels. With ``scales`` a crop is never larger than the image; it keeps its proportions.

    Example:
        >>> crop_sides(1024, 1024, 252, 4, (512, 378, 0)).tolist()
        [[504, 504], [683, 683], [252, 252], [504, 504]]
    """
    sides = [_sides_at(scale, height, width, size) for scale in scales] or [height_width(size)]
    return torch.tensor([sides[index % len(sides)] for index in range(count)], device='cpu').view(count, 2)


def _sides_at(scale: int, height: int, width: int, size: Size) -> tuple[int, int]:
    """The height and width of a crop of one scale in the image's pixels."""
    rows, columns = (side * math.sqrt(height * width) / scale if scale else side for side in height_width(size))
    too_large = max(rows / height, columns / width, 1)
    return min(height, max(1, round(rows / too_large))), min(width, max(1, round(columns / too_large)))


def crop_positions(height: int, width: int, size: Size, count: int, scales: Sequence[int] = ()) -> Tensor:
    """Return the positions of ``count`` crops in an image: an integer tensor (count, 2) of (y, x).

    The first crop (with ``scales`` the first of each scale) lies at the centre. If the image is smaller than the crop in one
    direction, all positions are 0 in it.

    Example:
        >>> crop_positions(512, 512, 224, 2).tolist()
        [[144, 144], [73, 20]]
    """
    index = torch.arange(count, dtype=torch.float64, device='cpu')[:, None] // max(len(scales), 1)
    unit = (0.5 + index * R2_STEP) % 1
    return (unit * (free_places(height, width, size, count, scales) + 1)).long()


def free_places(height: int, width: int, size: Size, count: int, scales: Sequence[int] = ()) -> Tensor:
    """The last (y, x) at which each of ``count`` crops can lie: an integer tensor (count, 2)."""
    sides = crop_sides(height, width, size, count, scales)
    return (torch.tensor([height, width], device='cpu') - sides).clamp(min=0)


def take_crops(image: Tensor, positions: Tensor, size: Size, scales: Sequence[int] = ()) -> Tensor:
    """Cut crops at ``positions`` (n, 2) of (y, x) out of an image (3, H, W): (n, 3, h, w) of ``size``, in [0, 1].

    The image is uint8, or float in [0, 1]. Without ``scales``, an image smaller than the crop is padded with zeros at its
    right and bottom. With them, crops of other sides are resized (bicubic, as Pillow does it) to ``size`` pixels.
    """
    height, width = image.shape[-2:]
    sides = crop_sides(height, width, size, len(positions), scales).tolist()
    cut = [image[:, y : y + h, x : x + w] for (y, x), (h, w) in zip(positions.tolist(), sides, strict=True)]
    if scales:
        return torch.stack([_fitted(crop, size) for crop in cut])
    crops, (rows, columns) = to_dtype(torch.stack(cut), torch.float32, scale=True), height_width(size)
    return F.pad(crops, (0, max(columns - width, 0), 0, max(rows - height, 0)))


def _fitted(crop: Tensor, size: Size) -> Tensor:
    """Resize a crop to ``size``; one of that size keeps its values, bit for bit."""
    if crop.shape[-2:] == height_width(size):
        return to_dtype(crop, torch.float32, scale=True)
    return _resized(crop, height_width(size)).clamp(0, 1)


def view_of(image: Tensor, size: Size, whole: bool = False) -> Tensor:
    """Return the ``whole_view`` of an image if ``whole``, else its ``semantic_view``."""
    return whole_view(image, size) if whole else semantic_view(image, size)


def shown_part(height: int, width: int, size: Size, whole: bool = False) -> tuple[int, int, int, int]:
    """Return what a view shows of an image, as (y, x, height, width) in its pixels; a whole view reaches beyond two edges.

    Example:
        >>> shown_part(512, 768, 224), shown_part(512, 768, 224, whole=True)
        ((0, 128, 512, 512), (-128, 0, 768, 768))
    """
    limit, sides = MAX_ASPECT * min(height, width), height_width(size)
    ratios = [min(pixels, limit) / side for pixels, side in zip((height, width), sides, strict=True)]
    rows, columns = (round(side * (max if whole else min)(ratios)) for side in sides)
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def whole_view(image: Tensor, size: Size) -> Tensor:
    """Show all of an image (3, H, W), uint8 or float, as float (3, h, w) of ``size``, in its own proportions.

    It becomes as large as fits: for a square ``size`` its longer side becomes ``size`` pixels. Above and below, or at the sides,
    its mirror image continues the picture, because a ViT would take a plain margin for content. An image more elongated than
    4:1 is first cut to 4:1 around its centre.
    """
    image, (rows, columns) = _shortened(image), height_width(size)
    across, down = image.shape[-1], image.shape[-2]
    whole, part = (rows, down) if rows * across <= columns * down else (columns, across)  # the side that fills the view
    height, width = (max(1, round(side * whole / part)) for side in (down, across))
    view = _resized(image, (height, width)).clamp(0, 1)
    return view[:, _mirrored(height, rows)][:, :, _mirrored(width, columns)]


def _mirrored(length: int, size: int) -> Tensor:
    """Return which of ``length`` rows each of ``size`` rows shows, (size,): all in the middle, mirrored before and after."""
    place = torch.arange(size, device='cpu') - (size - length) // 2
    place = place % (2 * length)
    return torch.where(place < length, place, 2 * length - 1 - place)


def semantic_view(image: Tensor, size: Size) -> Tensor:
    """Show an image (3, H, W), uint8 or float, as float (3, h, w) of ``size``: bicubic resize, then a centre crop.

    The resized image is as small as it can be and still cover the view: for a square its short side becomes ``size`` pixels.

    An image more elongated than 4:1 is first cut to 4:1 around its centre, so that a strip of 20,000 x 1 pixels does not
    become gigabytes. The centre crop would discard its ends in any case.
    """
    image, (rows, columns) = _shortened(image), height_width(size)
    down, across = image.shape[-2:]
    if rows * across >= columns * down:  # its height just fills the view, and its width is cut
        covering = rows, int(rows * across / down)
    else:
        covering = int(columns * down / across), columns
    return center_crop(_resized(image, covering), [rows, columns]).clamp(0, 1)


def pillow_view(image: Tensor, size: int) -> Tensor:
    """Make the ``semantic_view`` of a uint8 image as Pillow does, bit for bit: rounded to the 256 grey values."""
    picture = resize(to_pil_image(_shortened(image).cpu()), [size], interpolation=InterpolationMode.BICUBIC)
    pixels = np.array(center_crop(picture, [size, size]))  # (size, size, 3)
    return to_dtype(torch.from_numpy(pixels).permute(2, 0, 1), torch.float32, scale=True)


def _shortened(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    limit = MAX_ASPECT * min(height, width)
    return center_crop(image, [min(height, limit), min(width, limit)])


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (C, H, W), uint8 or float, to float of another height and width; bicubic."""
    # One channel at a time: all of a large photograph as float32 would take more memory than anything else here.
    channels = (to_dtype(channel, torch.float32, scale=True) for channel in image.split(1))
    return torch.cat(
        [resize(channel, list(size), interpolation=InterpolationMode.BICUBIC, antialias=True) for channel in channels]
    )


def normalize(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Subtract ``mean`` and divide by ``std`` per channel of (..., 3, H, W)."""
    shape = (3, 1, 1)
    return (pixels - pixels.new_tensor(mean).view(shape)) / pixels.new_tensor(std).view(shape)
