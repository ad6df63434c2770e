"""Eight kinds of damage to a picture in five strengths each, of which only the order is known: stronger is worse."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from .degradations import blur, jpeg, noise, shrink

STRENGTHS = 5


def expose(image: Image.Image, factor: float) -> Image.Image:
    """Light multiplied by ``factor``; what is beyond white is lost."""
    return _from_floats(np.asarray(image, dtype=np.float32) * factor)


def tint(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """A colour cast of random hue: up to ``amount`` (of 1) is added to a channel, and taken from another."""
    hue = np.random.default_rng(seed).normal(size=3)
    hue -= hue.mean()
    return _from_floats(np.asarray(image, dtype=np.float32) + 255 * amount * hue / np.abs(hue).max())


def band(image: Image.Image, levels: int) -> Image.Image:
    """Each channel rounded to so many levels, so that gradients become bands."""
    step = 255 / (levels - 1)
    return _from_floats(np.round(np.asarray(image, dtype=np.float32) / step) * step)


def _from_floats(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


# name -> what it does to a picture of about 512 x 512 pixels at strength 0 to 4
DAMAGE: dict[str, Callable[[Image.Image, int, int], Image.Image]] = {
    'blur': lambda image, strength, seed: blur(image, (0.8, 1.5, 2.5, 4, 7)[strength]),
    'noise': lambda image, strength, seed: noise(image, (8, 16, 28, 45, 70)[strength], seed),
    'jpeg': lambda image, strength, seed: jpeg(image, (40, 25, 15, 9, 5)[strength]),
    'shrink': lambda image, strength, seed: shrink(image, (1.5, 2.2, 3.2, 4.6, 7)[strength]),
    'overexposure': lambda image, strength, seed: expose(image, (1.3, 1.6, 2.1, 2.8, 3.8)[strength]),
    'underexposure': lambda image, strength, seed: expose(image, (0.65, 0.45, 0.3, 0.18, 0.1)[strength]),
    'colour cast': lambda image, strength, seed: tint(image, (0.08, 0.16, 0.24, 0.34, 0.46)[strength], seed),
    'banding': lambda image, strength, seed: band(image, (16, 10, 7, 5, 3)[strength]),
}
