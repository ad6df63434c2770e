"""Baselines that a metric has to beat. They are fitted to a data set's training rows, and ignore part of the input.

``generator-mean`` ignores the pixels: each image scores its generator's mean MOS in the training rows. ``ridge`` ignores the
prompt: it is linear regression on frozen features of DINOv2, which were not trained for quality, as the embedded checkpoint
reads them.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..data.feature_cache import FeatureCache, picture_key
from ..data.table import TableError
from ..images.read import read_image
from ..images.views import crop_positions
from ..metrics.moeagiqa import MoEAGIQAMetric
from .rated import Rated

PENALTIES = np.logspace(-1, 6, 29)


def generator_mean(rated: Rated, target: str, folder: Path) -> np.ndarray:
    """The mean MOS of each image's generator in the training rows.

    Raises:
        TableError: if there is no column generator, or the training rows lack one of the generators.
    """
    if 'generator' not in rated.table:
        raise TableError('there is no column generator')
    means = rated.training.groupby('generator')[target].mean()
    scores = rated.table['generator'].map(means)
    if scores.isna().any():
        unknown = rated.table['generator'][scores.isna()].iloc[0]
        raise TableError(f'no training row has generator {unknown!r}')
    return scores.to_numpy()


def ridge(rated: Rated, target: str, folder: Path) -> np.ndarray:
    """Ridge regression from frozen features to MOS; leave-one-out error on the training rows chooses the penalty.

    Features are kept in ``folder``, by image content and weights.
    """
    metric = MoEAGIQAMetric()
    cache = FeatureCache(folder / 'features', metric.fingerprint)
    known, asked = (_features(rows['path'], metric, cache) for rows in (rated.training, rated.table))
    mean, deviation = known.mean(axis=0), known.std(axis=0) + 1e-6
    return _ridge((known - mean) / deviation, rated.training[target].to_numpy(), (asked - mean) / deviation)


def _features(images: Iterable[str], metric: MoEAGIQAMetric, cache: FeatureCache) -> np.ndarray:
    """The frozen encoders' summary of each image, (N, F), float64."""

    def kept(image: str) -> Tensor:
        return cache.look_up([picture_key(image)], lambda places: {'summary': _summary(image, metric)})['summary']

    progress = tqdm(list(images), desc='ridge', unit='image', disable=None)
    return torch.cat([kept(image) for image in progress]).numpy().astype(float)


def _summary(path: str, metric: MoEAGIQAMetric) -> Tensor:
    image, config = read_image(path), metric.network.config
    height, width = image.shape[-2:]
    places = crop_positions(height, width, config.crop_size, metric.crops, config.crop_scales)
    return metric.network.summary(metric.encode([image], [places]))


def _ridge(known: np.ndarray, mos: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Ridge regression in dual form.

    With K = X X', predictions are K* (K + penalty)^-1 y. The error at row i when it is left out is r_i / (1 - h_i).
    """
    values, vectors = np.linalg.eigh(known @ known.T)
    centred = vectors.T @ (mos - mos.mean())

    def error(penalty: float) -> float:
        shrunk = values / (values + penalty)
        rest = mos - mos.mean() - vectors @ (shrunk * centred)
        return float(np.mean((rest / (1 - (vectors**2) @ shrunk)) ** 2))

    penalty = min(PENALTIES, key=error)
    return mos.mean() + asked @ (known.T @ (vectors @ (centred / (values + penalty))))


BASELINES: dict[str, Callable[[Rated, str, Path], np.ndarray]] = {'generator-mean': generator_mean, 'ridge': ridge}
