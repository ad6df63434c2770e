"""Makes what the network looks at: square crops and one resized view of an image.

Crops are cut at the picture's own pixels, as in the released implementation, or show a fixed part of the picture for any
number of its pixels. The view shows the square in the middle, as in the released implementation, or all of the picture.

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

# The R2 low-discrepancy sequence (M. Roberts, 2018): powers of the inverse plastic number cover the plane more
# evenly than random numbers, and every prefix of the sequence is itself well spread. Index 0 is the centre.
PLASTIC = 1.3247179572447460
R2_STEP = torch.tensor([1 / PLASTIC, 1 / PLASTIC**2], dtype=torch.float64, device='cpu')
MAX_ASPECT = 4  # longer side by shorter side of the part that a view shows


def crop_sides(height: int, width: int, size: int, count: int, scales: Sequence[int] = ()) -> Tensor:
    """Return the side of each of ``count`` square crops in the image's pixels: an integer tensor (count,).

    Without ``scales`` each side is ``size``. With them crops take turns. A crop of scale s shows what would be ``size`` pixels
    wide if the image had as many pixels as a square of s x s, so that a picture and its enlargement show the same. Scale 0
    stands for the image's own pixels. With ``scales`` a crop is never larger than the image.

    Example:
        >>> crop_sides(1024, 1024, 252, 4, (512, 378, 0)).tolist()
        [504, 683, 252, 504]
    """
    if not scales:
        return torch.full((count,), size, device='cpu')
    shown = [size * math.sqrt(height * width) / scale if scale else size for scale in scales]
    sides = [min(height, width, max(1, round(side))) for side in shown]
    return torch.tensor([sides[index % len(scales)] for index in range(count)], device='cpu')


def crop_positions(height: int, width: int, size: int, count: int, scales: Sequence[int] = ()) -> Tensor:
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


def free_places(height: int, width: int, size: int, count: int, scales: Sequence[int] = ()) -> Tensor:
    """The last (y, x) at which each of ``count`` crops can lie: an integer tensor (count, 2)."""
    sides = crop_sides(height, width, size, count, scales)[:, None]
    return (torch.tensor([height, width], device='cpu') - sides).clamp(min=0)


def take_crops(image: Tensor, positions: Tensor, size: int, scales: Sequence[int] = ()) -> Tensor:
    """Cut crops at ``positions`` (n, 2) of (y, x) out of an image (3, H, W): (n, 3, size, size) in [0, 1].

    The image is uint8, or float in [0, 1]. Without ``scales``, an image smaller than the crop is padded with zeros at its
    right and bottom. With them, crops of other sides are resized (bicubic, as Pillow does it) to ``size`` pixels.
    """
    height, width = image.shape[-2:]
    sides = crop_sides(height, width, size, len(positions), scales).tolist()
    cut = [image[:, y : y + side, x : x + side] for (y, x), side in zip(positions.tolist(), sides, strict=True)]
    if scales:
        return torch.stack([_fitted(crop, size) for crop in cut])
    crops = to_dtype(torch.stack(cut), torch.float32, scale=True)
    return F.pad(crops, (0, max(size - width, 0), 0, max(size - height, 0)))


def _fitted(crop: Tensor, size: int) -> Tensor:
    """Resize a crop to ``size`` pixels a side; one of that size keeps its values, bit for bit."""
    if crop.shape[-1] == size:
        return to_dtype(crop, torch.float32, scale=True)
    return _resized(crop, [size, size]).clamp(0, 1)


def view_of(image: Tensor, size: int, whole: bool = False) -> Tensor:
    """Return the ``whole_view`` of an image if ``whole``, else its ``semantic_view``."""
    return whole_view(image, size) if whole else semantic_view(image, size)


def whole_view(image: Tensor, size: int) -> Tensor:
    """Show all of an image (3, H, W), uint8 or float, as float (3, size, size) in its own proportions.

    Its longer side becomes ``size`` pixels. Above and below, or at the sides, its mirror image continues the picture, because
    a ViT would take a plain margin for content. An image more elongated than 4:1 is first cut to 4:1 around its centre.
    """
    image = _shortened(image)
    height, width = (max(1, round(side * size / max(image.shape[-2:]))) for side in image.shape[-2:])
    view = _resized(image, [height, width]).clamp(0, 1)
    return view[:, _mirrored(height, size)][:, :, _mirrored(width, size)]


def _mirrored(length: int, size: int) -> Tensor:
    """Return which of ``length`` rows each of ``size`` rows shows, (size,): all in the middle, mirrored before and after."""
    place = torch.arange(size, device='cpu') - (size - length) // 2
    place = place % (2 * length)
    return torch.where(place < length, place, 2 * length - 1 - place)


def semantic_view(image: Tensor, size: int) -> Tensor:
    """Show an image (3, H, W), uint8 or float, as float (3, size, size): bicubic resize of the short side, then a centre crop.

    An image more elongated than 4:1 is first cut to 4:1 around its centre, so that a strip of 20,000 x 1 pixels does not
    become gigabytes. The centre crop would discard its ends in any case.
    """
    return center_crop(_resized(_shortened(image), [size]), [size, size]).clamp(0, 1)


def pillow_view(image: Tensor, size: int) -> Tensor:
    """Make the ``semantic_view`` of a uint8 image as Pillow does, bit for bit: rounded to the 256 grey values."""
    picture = resize(to_pil_image(_shortened(image).cpu()), [size], interpolation=InterpolationMode.BICUBIC)
    pixels = np.array(center_crop(picture, [size, size]))  # (size, size, 3)
    return to_dtype(torch.from_numpy(pixels).permute(2, 0, 1), torch.float32, scale=True)


def _shortened(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    limit = MAX_ASPECT * min(height, width)
    return center_crop(image, [min(height, limit), min(width, limit)])


def _resized(image: Tensor, size: list[int]) -> Tensor:
    """Resize (C, H, W), uint8 or float, to float of another size; bicubic."""
    # One channel at a time: all of a large photograph as float32 would take more memory than anything else here.
    channels = (to_dtype(channel, torch.float32, scale=True) for channel in image.split(1))
    return torch.cat(
        [resize(channel, size, interpolation=InterpolationMode.BICUBIC, antialias=True) for channel in channels]
    )


def normalize(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Subtract ``mean`` and divide by ``std`` per channel of (..., 3, H, W)."""
    shape = (3, 1, 1)
    return (pixels - pixels.new_tensor(mean).view(shape)) / pixels.new_tensor(std).view(shape)
