"""Copies of an image, in each of which one place is blurred: what that takes from the score is what the place gave to it."""

import math
from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import resize

PLACES = 49  # about, in an image: each costs a score
LEFT = 24  # pixels of the short side in a blurred image: it keeps its colours and large shapes


def grid_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of places, about as high as wide.

    Example:
        >>> grid_of(512, 512), grid_of(400, 600)
        ((7, 7), (6, 9))
    """
    rows = max(1, round(math.sqrt(PLACES * height / width)))
    columns = max(1, round(math.sqrt(PLACES * width / height)))
    return min(rows, PLACES, height), min(columns, PLACES, width)


def occluded(image: Tensor, grid: tuple[int, int]) -> Iterator[Tensor]:
    """For each place of the grid, row by row, a copy of an image (3, H, W) with that place blurred."""
    blurred = blur(image)
    down, across = (list(windows(side, count)) for side, count in zip(image.shape[-2:], grid, strict=True))
    for (top, tall), (left, wide) in product(down, across):
        window = slice(None), slice(top, top + len(tall)), slice(left, left + len(wide))
        mixed = torch.lerp(image[window].float(), blurred[window].float(), tall[:, None] * wide)
        copy = image.clone()
        copy[window] = mixed if image.is_floating_point() else mixed.round()
        yield copy


def blur(image: Tensor) -> Tensor:
    """An image (3, H, W) without anything small, however many pixels it has."""
    size = image.shape[-2:]
    scale = min(1, LEFT / min(size))
    return resize(resize(image, [max(1, round(side * scale)) for side in size]), size)


def windows(length: int, count: int) -> Iterator[tuple[int, Tensor]]:
    """For each of ``count`` places along a length the first pixel of its window, and how much the window hides of each pixel.

    A window begins in the middle of the place before and ends in the middle of the next, hides all in its own middle and
    nothing at its ends: an edge would be something new to look at.
    """
    step = length / count
    for place in range(count):
        first, end = max(0, math.floor((place - 0.5) * step)), min(length, math.ceil((place + 1.5) * step))
        distance = (torch.arange(first, end) + 0.5) / step - place - 0.5  # from its middle, in places
        yield first, torch.cos(distance.clamp(-1, 1) * math.pi / 2).square()
