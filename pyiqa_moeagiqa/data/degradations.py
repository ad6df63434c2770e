"""Synthetic degradations of known kind and strength, by torchvision and Pillow: a prior learns from them without raters."""

import io
from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

Degradation = Callable[[Tensor, float], Tensor]


def blur(image: Tensor, level: float) -> Tensor:
    sigma = 0.5 + 4.5 * level
    side = 2 * round(3 * sigma) + 1
    return F.gaussian_blur(image, [side, side], [sigma, sigma])


def noise(image: Tensor, level: float) -> Tensor:
    return F.gaussian_noise(image, sigma=0.02 + 0.23 * level)


def jpeg(image: Tensor, level: float) -> Tensor:
    buffer = io.BytesIO()
    F.to_pil_image(image).save(buffer, 'JPEG', quality=round(40 - 36 * level))
    return F.to_dtype(F.pil_to_tensor(Image.open(buffer)), scale=True)


def down_sample(image: Tensor, level: float) -> Tensor:
    height, width = image.shape[-2:]
    factor = 1.5 + 6.5 * level
    small = [max(round(height / factor), 1), max(round(width / factor), 1)]
    return F.resize(F.resize(image, small, antialias=True), [height, width]).clamp(0, 1)


def banding(image: Tensor, level: float) -> Tensor:
    steps = round(24 - 20 * level)  # grey levels per channel, from 24 down to 4
    return (image * (steps - 1)).round() / (steps - 1)


def colour_shift(image: Tensor, level: float) -> Tensor:
    return F.adjust_saturation(F.adjust_hue(image, 0.03 + 0.22 * level), 1 + 1.5 * level)


KINDS: tuple[tuple[str, Degradation], ...] = (
    ('none', lambda image, level: image),
    ('blur', blur),
    ('noise', noise),
    ('jpeg', jpeg),
    ('down-sampling', down_sample),
    ('banding', banding),
    ('colour shift', colour_shift),
)


def degrade(crops: Tensor, draw: torch.Generator | None = None) -> tuple[Tensor, int, float]:
    """Apply one random degradation to crops; return them with its number in ``KINDS`` and its strength in [0, 1].

    Args:
        crops: (n, 3, H, W) in [0, 1]; all get the same degradation.
        draw: generator for kind, strength and noise; default: torch's random state.
    """
    kind = int(torch.randint(len(KINDS), (), generator=draw))
    level = float(torch.rand((), generator=draw)) if kind else 0.0
    seed = int(torch.randint(1 << 31, (), generator=draw))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # torchvision's noise takes no generator
        return torch.stack([KINDS[kind][1](crop, level) for crop in crops]), kind, level
