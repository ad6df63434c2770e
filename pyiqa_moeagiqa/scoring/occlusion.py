"""Copies of an image with one place blurred in each: the drop in the score is what the place gave to it."""

import math
from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import resize

PLACES = 49  # in an image, roughly; each costs one more scoring
LEFT = 24  # pixels of detail on a blurred image's short side: colours and large shapes remain


def grid_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of a grid whose places are nearly square.

    Example:
        >>> grid_of(512, 512), grid_of(400, 600)
        ((7, 7), (6, 9))
    """
    rows = max(1, round(math.sqrt(PLACES * height / width)))
    columns = max(1, round(math.sqrt(PLACES * width / height)))
    return min(rows, PLACES, height), min(columns, PLACES, width)


def occluded(image: Tensor, grid: tuple[int, int]) -> Iterator[Tensor]:
    """Yield for each place of the grid, row by row, a copy of an image (3, H, W) with that place blurred."""
    blurred = blur(image)
    down, across = (list(windows(side, count)) for side, count in zip(image.shape[-2:], grid, strict=True))
    for (top, tall), (left, wide) in product(down, across):
        window = slice(None), slice(top, top + len(tall)), slice(left, left + len(wide))
        mixed = torch.lerp(image[window].float(), blurred[window].float(), tall[:, None] * wide)
        copy = image.clone()
        copy[window] = mixed if image.is_floating_point() else mixed.round()
        yield copy


def blur(image: Tensor) -> Tensor:
    """Remove small details from an image (3, H, W), by the same share of its size for every resolution."""
    size = image.shape[-2:]
    scale = min(1, LEFT / min(size))
    return resize(resize(image, [max(1, round(side * scale)) for side in size]), size)


def windows(length: int, count: int) -> Iterator[tuple[int, Tensor]]:
    """Yield for each of ``count`` places along a length its window's first pixel, and the share hidden of each pixel.

    A window begins in the middle of the place before and ends in the middle of the next. It hides everything in its own
    middle and nothing at its ends: a sharp edge would itself change the score.
    """
    step = length / count
    for place in range(count):
        first, end = max(0, math.floor((place - 0.5) * step)), min(length, math.ceil((place + 1.5) * step))
        distance = (
            (torch.arange(first, end) + 0.5) / step - place - 0.5
        )  # from the window's middle, in units of a place
        yield first, torch.cos(distance.clamp(-1, 1) * math.pi / 2).square()
