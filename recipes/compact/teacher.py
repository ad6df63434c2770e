"""Kernel ridge regression on the frozen features: what the network is taught between the pictures that raters saw.

Some 1,900 pictures are too few for a network of two million parameters, and enough for kernel ridge. So the network
learns the regression's answers to mixtures of pictures, of which there are as many as one likes.
"""

import numpy as np
import torch
from sklearn.compose import TransformedTargetRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

ALPHA, WIDTH = 0.1, 0.25


class Teacher:
    """Gaussian kernel ridge from the view's and the crops' mean features to quality.

    Args:
        degradation: (N, 1 + n, C, h, w), the view first.
        mos: (N,) in [0, 1].
    """

    def __init__(self, degradation: Tensor, mos: Tensor):
        seen = self._flatten(degradation)
        ridge = KernelRidge(alpha=ALPHA, kernel='rbf', gamma=WIDTH / seen.shape[1])
        centred = TransformedTargetRegressor(ridge, transformer=StandardScaler(with_std=False))
        self.model = make_pipeline(StandardScaler(), centred).fit(seen, mos.numpy().astype(np.float64))

    def noise(self, degradation: Tensor) -> Tensor:
        """Normal noise as large as each channel's deviation between pictures, the same at all places of a crop."""
        view, crop = torch.from_numpy(self.model[0].scale_).float().chunk(2)
        scale = torch.stack([view] + [crop] * (degradation.shape[1] - 1))
        return (torch.randn(*degradation.shape[:3]) * scale)[..., None, None]

    @staticmethod
    def _flatten(degradation: Tensor) -> np.ndarray:
        means = degradation.mean((3, 4))
        return torch.cat([means[:, 0], means[:, 1:].mean(1)], dim=1).double().numpy()

    def __call__(self, degradation: Tensor) -> Tensor:
        """(N,) quality."""
        return torch.from_numpy(self.model.predict(self._flatten(degradation))).float()
