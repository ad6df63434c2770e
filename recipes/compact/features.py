"""The frozen encoders' features of every picture, computed once: training the rest takes minutes then."""

import copy
from collections.abc import Callable, Sequence
from multiprocessing.pool import Pool

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pyiqa_moeagiqa.archs.hardware import fast_dtype
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.images.views import crop_positions, take_crops, view_of

_job: list = []  # forked processes share it, where an argument would be copied to each


def extract(network: MoEAGIQA, pictures: Sequence[Callable[[], Tensor]], name: str) -> dict[str, Tensor]:
    """Features of pictures: ``degradation`` (N, 1 + crops, C, h, w) and ``image`` (N, tokens, D), as float16.

    Computed in bfloat16 where the processor is fast at it, one picture per processor at a time.

    Args:
        network: its encoders are what is computed, at its own crops.
        pictures: each gives (3, H, W), uint8.
        name: for the progress bar.
    """
    _job[:] = [copy.deepcopy(network).cast_encoders(fast_dtype(torch.device('cpu'))), pictures]
    with torch.multiprocessing.get_context('fork').Pool(initializer=torch.set_num_threads, initargs=(1,)) as pool:
        features = list(_progress(pool, len(pictures), name))
    return {part: torch.from_numpy(np.stack([one[part] for one in features])) for part in ('degradation', 'image')}


def _progress(pool: Pool, count: int, name: str):
    return tqdm(pool.imap(_one, range(count), chunksize=4), total=count, desc=name, mininterval=30)


@torch.inference_mode()
def _one(index: int) -> dict[str, np.ndarray]:
    network, pictures = _job
    crops, view = looks(network, pictures[index]())
    features = network.encode(crops[None], view[None])
    # Arrays go through a pipe; a tensor would keep a file open until all are there.
    return {'degradation': features.degradation[0].half().numpy(), 'image': features.image[0].half().numpy()}


def looks(network: MoEAGIQA, image: Tensor) -> tuple[Tensor, Tensor]:
    """The crops (n, 3, S, S) and the view (3, S, S) of an image (3, H, W), as the metric takes them."""
    config = network.config
    size, scales = config.crop_size, config.crop_scales
    places = crop_positions(*image.shape[-2:], size, config.crops, scales)
    return take_crops(image, places, size, scales), view_of(image, network.view_size, config.whole_view)
