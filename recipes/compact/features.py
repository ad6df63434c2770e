"""The frozen encoders' features of every picture, computed once: training the rest takes minutes then.

Two kinds of pictures are seen: ``clean`` ones at the metric's own crops, which also measure the result, and
``degraded`` copies, blurred, noised, compressed or shrunk, of which only the order is known: they are worse than the
clean ones.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor
from tqdm import tqdm

from pyiqa_moeagiqa.archs.hardware import fast_dtype
from pyiqa_moeagiqa.archs.images import read_image
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.archs.views import crop_positions, semantic_view, take_crops

from ..degradations import blur, jpeg, noise, shrink

CROPS = 3
DEGRADED_CROPS = 2
AT_ONCE = 4


DAMAGE = (
    lambda picture, level, seed: blur(picture, 0.7 + 3.3 * level),
    lambda picture, level, seed: noise(picture, 8 + 56 * level, seed),
    lambda picture, level, seed: jpeg(picture, round(30 - 25 * level)),
    lambda picture, level, seed: shrink(picture, 2 + 4 * level),
)


def degrade(image: Tensor, index: int) -> Tensor:
    """One degradation of random kind and level, always the same for the same index."""
    level = np.random.default_rng(index).uniform()
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    return pil_to_tensor(DAMAGE[index % len(DAMAGE)](picture, level, index))


def clean(image: Tensor, index: int) -> tuple[Tensor, slice]:
    return image, slice(0, CROPS)


def degraded(image: Tensor, index: int) -> tuple[Tensor, slice]:
    return degrade(image, index), slice(0, DEGRADED_CROPS)


def extract(
    network: MoEAGIQA,
    paths: Iterable[Path],
    kind: Callable[[Tensor, int], tuple[Tensor, slice]],
) -> dict[str, Tensor]:
    """Features of pictures: ``degradation`` (N, n, C, h, w) and ``image`` (N, tokens, D), as float16.

    Computed in bfloat16 where the processor is fast at it.

    Args:
        network: its encoders are what is computed.
        paths: the pictures.
        kind: ``clean`` or ``degraded``.
    """
    size, paths = network.config.crop_size, list(paths)
    degradation, image = [], []
    dtype = fast_dtype(torch.device('cpu'))
    fast = torch.autocast('cpu', dtype, enabled=dtype != torch.float32)
    for start in tqdm(range(0, len(paths), AT_ONCE), desc=kind.__name__, mininterval=30):
        crops, views = [], []
        for index in range(start, min(start + AT_ONCE, len(paths))):
            pixels, chosen = kind(read_image(paths[index]), index)
            positions = crop_positions(*pixels.shape[-2:], size, chosen.stop)[chosen]
            crops.append(take_crops(pixels, positions, size))
            views.append(semantic_view(pixels, network.view_size))
        with torch.inference_mode(), fast:
            features = network.encode(torch.stack(crops), torch.stack(views))
        degradation.append(features.degradation.half())
        image.append(features.image.half())
    return {'degradation': torch.cat(degradation), 'image': torch.cat(image)}
