"""Baselines that a metric has to beat. They are fitted to a data set's training rows, and ignore part of the input.

``generator-mean`` ignores the pixels: each image scores its generator's mean MOS in the training rows. ``ridge`` ignores the
prompt: it is linear regression on frozen features of DINOv2, which were not trained for quality, as the embedded checkpoint
reads them.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..archs.images import read_image
from ..archs.metric_arch import MoEAGIQAMetric
from ..archs.views import crop_positions, take_crops, view_of
from ..data.table import TableError
from ..scoring.by_content import content_of
from ..whole_file import whole_file
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
    features = _Features(metric, folder / f'features-{metric.fingerprint[:8]}')
    known, asked = features.of(rated.training['path']), features.of(rated.table['path'])
    mean, deviation = known.mean(axis=0), known.std(axis=0) + 1e-6
    return _ridge((known - mean) / deviation, rated.training[target].to_numpy(), (asked - mean) / deviation)


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


class _Features:
    """The frozen encoders' summary of each image, saved to disk after the first computation."""

    def __init__(self, metric: MoEAGIQAMetric, folder: Path):
        self.metric, self.folder = metric, folder
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, images: Iterable[str]) -> np.ndarray:
        """The features of images, (N, F), float64."""
        return np.stack([self._one(image) for image in tqdm(list(images), desc='ridge', unit='image', disable=None)])

    def _one(self, image: str) -> np.ndarray:
        file = self.folder / f'{content_of(image)}.npy'
        if not file.is_file():
            with whole_file(file) as part, part.open('wb') as opened:
                np.save(opened, self._compute(image))
        return np.load(file, allow_pickle=False).astype(float)

    @torch.no_grad()
    def _compute(self, path: str) -> np.ndarray:
        image, network = read_image(path), self.metric.network
        size, scales = network.config.crop_size, network.config.crop_scales
        height, width = image.shape[-2:]
        places = crop_positions(height, width, size, self.metric.crops, scales)
        crops, view = (
            take_crops(image, places, size, scales),
            view_of(image, network.view_size, network.config.whole_view),
        )
        return network.summary(network.encode(crops[None], view[None]))[0].numpy()


BASELINES: dict[str, Callable[[Rated, str, Path], np.ndarray]] = {'generator-mean': generator_mean, 'ridge': ridge}
