"""The frozen encoders' features of every picture, computed once: training the rest takes minutes then.

Three kinds of pictures are seen: ``clean`` ones at the metric's own crops, which also measure the result; ``mirrored``
ones at other crops; and ``degraded`` copies, blurred, noised, compressed or shrunk, of which only the order is known:
they are worse than the clean ones.
"""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor
from tqdm import tqdm

from pyiqa_moeagiqa.archs.images import read_image
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.archs.views import crop_positions, semantic_view, take_crops

CROPS = 5
DEGRADED_CROPS = 2


def blur(image: Image.Image, level: float) -> Image.Image:
    """Gaussian blur of radius 0.7 to 4 pixels for a level of 0 to 1."""
    return image.filter(ImageFilter.GaussianBlur(0.7 + 3.3 * level))


def noise(image: Image.Image, level: float, generator: np.random.Generator) -> Image.Image:
    """Gaussian noise of standard deviation 8 to 64 (of 255)."""
    pixels = np.asarray(image, dtype=np.float32)
    noised = pixels + generator.normal(0, 8 + 56 * level, pixels.shape)
    return Image.fromarray(noised.clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, level: float) -> Image.Image:
    """JPEG of quality 30 to 5."""
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=round(30 - 25 * level))
    return Image.open(buffer).convert('RGB')


def shrink(image: Image.Image, level: float) -> Image.Image:
    """Made 2 to 6 times smaller and enlarged again."""
    factor = 2 + 4 * level
    small = image.resize((max(1, round(image.width / factor)), max(1, round(image.height / factor))), Image.BICUBIC)
    return small.resize(image.size, Image.BICUBIC)


def degrade(image: Tensor, index: int) -> Tensor:
    """One degradation of random kind and level, always the same for the same index."""
    generator = np.random.default_rng(index)
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    level, kind = generator.uniform(), index % 4
    if kind == 1:
        return pil_to_tensor(noise(picture, level, generator))
    return pil_to_tensor((blur, None, jpeg, shrink)[kind](picture, level))


def clean(image: Tensor, index: int) -> tuple[Tensor, slice]:
    return image, slice(0, CROPS)


def mirrored(image: Tensor, index: int) -> tuple[Tensor, slice]:
    return image.flip(-1), slice(CROPS, 2 * CROPS)


def degraded(image: Tensor, index: int) -> tuple[Tensor, slice]:
    return degrade(image, index), slice(0, DEGRADED_CROPS)


def extract(
    network: MoEAGIQA,
    paths: Iterable[Path],
    kind: Callable[[Tensor, int], tuple[Tensor, slice]],
) -> dict[str, Tensor]:
    """Features of pictures: ``degradation`` (N, n, C, h, w) and ``image`` (N, tokens, D), as float16.

    Args:
        network: its encoders are what is computed.
        paths: the pictures.
        kind: ``clean``, ``mirrored`` or ``degraded``.
    """
    size = network.config.crop_size
    degradation, image = [], []
    for index, path in enumerate(tqdm(list(paths), desc=kind.__name__, mininterval=30)):
        pixels, crops = kind(read_image(path), index)
        positions = crop_positions(*pixels.shape[-2:], size, crops.stop)[crops]
        view = semantic_view(pixels, network.view_size)
        with torch.inference_mode():
            features = network.encode(take_crops(pixels, positions, size)[None], view[None])
        degradation.append(features.degradation.half())
        image.append(features.image.half())
    return {'degradation': torch.cat(degradation), 'image': torch.cat(image)}
