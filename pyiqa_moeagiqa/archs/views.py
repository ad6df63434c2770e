"""What the network looks at: native-resolution crops and one resized whole view of an image.

Both are pure functions of the image: where the crops lie follows from the image's size and the crop's index, never
from a random generator, so that a score does not depend on what was scored before it.
"""

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
MAX_ASPECT = 4


def crop_positions(height: int, width: int, size: int, count: int) -> Tensor:
    """Where ``count`` crops of ``size`` pixels lie in an image: an integer tensor (count, 2) of (y, x).

    The first crop is the centre one. In an image smaller than the crop all positions are 0 in that direction.

    Example:
        >>> crop_positions(512, 512, 224, 2).tolist()
        [[144, 144], [73, 20]]
    """
    index = torch.arange(count, dtype=torch.float64, device='cpu')[:, None]
    unit = (0.5 + index * R2_STEP) % 1
    free = torch.tensor([max(height - size, 0), max(width - size, 0)], device='cpu')
    return (unit * (free + 1)).long()


def take_crops(image: Tensor, positions: Tensor, size: int) -> Tensor:
    """Cut crops at ``positions`` (n, 2) of (y, x) out of an image (3, H, W): (n, 3, size, size) in [0, 1].

    The image is uint8, or float in [0, 1]. One smaller than the crop is padded with zeros at its right and bottom.
    """
    height, width = image.shape[-2:]
    pixels = [image[:, y : y + size, x : x + size] for y, x in positions.tolist()]
    crops = to_dtype(torch.stack(pixels), torch.float32, scale=True)
    return F.pad(crops, (0, max(size - width, 0), 0, max(size - height, 0)))


def semantic_view(image: Tensor, size: int) -> Tensor:
    """The whole image (3, H, W), uint8 or float, as float (3, size, size): bicubic resize of the short side, then a centre crop.

    An image more elongated than 4:1 is first cut to 4:1 around its centre, which the centre crop would throw away
    anyway: so a strip of 20,000 x 1 pixels does not become gigabytes.
    """
    channels = [_resize_channel(channel, size) for channel in _shortened(image).split(1)]
    return center_crop(torch.cat(channels), [size, size]).clamp(0, 1)


def pillow_view(image: Tensor, size: int) -> Tensor:
    """What ``semantic_view`` gives of a uint8 image, but as Pillow resizes it: rounded to the 256 grey values, to the bit."""
    picture = resize(to_pil_image(_shortened(image).cpu()), [size], interpolation=InterpolationMode.BICUBIC)
    pixels = np.array(center_crop(picture, [size, size]))  # (size, size, 3)
    return to_dtype(torch.from_numpy(pixels).permute(2, 0, 1), torch.float32, scale=True)


def _shortened(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    limit = MAX_ASPECT * min(height, width)
    return center_crop(image, [min(height, limit), min(width, limit)])


def _resize_channel(channel: Tensor, size: int) -> Tensor:
    # One channel at a time: a large photograph as float32 at once would be the largest thing in memory.
    channel = to_dtype(channel, torch.float32, scale=True)
    return resize(channel, [size], interpolation=InterpolationMode.BICUBIC, antialias=True)


def normalize(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Subtract ``mean`` and divide by ``std`` per channel of (..., 3, H, W)."""
    shape = (3, 1, 1)
    return (pixels - pixels.new_tensor(mean).view(shape)) / pixels.new_tensor(std).view(shape)
