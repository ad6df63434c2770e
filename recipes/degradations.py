"""Damage to a picture (PIL, RGB), of which only the order is known: it makes the picture worse."""

import io

import numpy as np
from PIL import Image, ImageFilter


def blur(image: Image.Image, radius: float) -> Image.Image:
    """Gaussian blur; the radius in pixels."""
    return image.filter(ImageFilter.GaussianBlur(radius))


def noise(image: Image.Image, deviation: float, seed: int = 0) -> Image.Image:
    """Gaussian noise; its standard deviation on the scale of 0 to 255."""
    pixels = np.asarray(image, dtype=np.float32)
    noised = pixels + np.random.default_rng(seed).normal(0, deviation, pixels.shape)
    return Image.fromarray(noised.clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Compressed as JPEG; quality from 1 to 95."""
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=quality)
    return Image.open(buffer).convert('RGB')


def shrink(image: Image.Image, factor: float) -> Image.Image:
    """Made ``factor`` times smaller and enlarged again."""
    small = image.resize([max(1, round(side / factor)) for side in image.size], Image.BICUBIC)
    return small.resize(image.size, Image.BICUBIC)
