"""The metric as a reward for generators of images, with a loss for trainers that follow its gradient.

``Reward`` has the form of the reward functions in ddpo-pytorch (Black et al., 'Training Diffusion Models with Reinforcement
Learning', ICLR 2024), Flow-GRPO (Liu et al., 2025) and TRL; ``Reward.loss`` is what ReFL (Xu et al., 'ImageReward', NeurIPS
2023), DRaFT (Clark et al., ICLR 2024) and AlignProp (Prabhudesai et al., 2023) descend.
"""

from collections.abc import Iterable
from typing import Any, overload

import torch
from torch import Tensor

from ..images.read import ROUNDING, STRAY, ImageError, read_images
from .details import Details
from .moeagiqa import MoEAGIQAMetric


class Reward:
    """Rewards images for their prompts: the metric's score, float32, about 0 to 1, higher is better.

    It can be used by several threads at once, and pickled. Forked processes can use it too; they compute on one thread.

    Args:
        target: 'quality', 'alignment' or another target that the checkpoint has; by default its first.
        device: where rewards are computed; by default on a GPU if there is one.
        options: of ``MoEAGIQAMetric``, such as ``fast=True`` or ``pretrained_model_path=...``.

    Raises:
        CheckpointError: if the weights cannot be obtained or used.
        OptionError: for an option out of range.

    Example:
        >>> import torch
        >>> from pyiqa_moeagiqa import Reward
        >>> reward = Reward(device='cpu')
        >>> reward(torch.rand(2, 3, 64, 64), ['a cat', 'a dog']).shape
        torch.Size([2])
    """

    def __init__(self, target: str | None = None, device: torch.device | str | None = None, **options: Any):
        device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        self.metric = MoEAGIQAMetric(target=target, **options).to(device)

    @overload
    def __call__(self, images: Any, prompts: Iterable[str] | str, metadata: None = None) -> Tensor: ...

    @overload
    def __call__(
        self, images: Any, prompts: Iterable[str] | str, metadata: Any
    ) -> tuple[Tensor, dict[str, Tensor]]: ...

    def __call__(
        self, images: Any, prompts: Iterable[str] | str, metadata: Any = None
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Compute rewards.

        Args:
            images: tensor (N, 3, H, W) in [0, 1] of any float type, PIL images, or a numpy array (N, H, W, 3) of uint8 or of
                floats in [0, 1]. A tensor with gradients may stray from [0, 1] by 0.5.
            prompts: one for each image, or a string for all.
            metadata: is not read. Trainers pass it and expect two values, so with it the answer is a pair, ``{}`` included.

        Returns:
            Rewards (N,), with a gradient if the images have one; with ``metadata`` a tuple of rewards and ``details_of``.

        Raises:
            ImageError, ValueError: for images or prompts that cannot be scored.
        """
        read = read_images(images, STRAY if _has_gradient(images) else ROUNDING)
        if metadata is None:
            return self.metric(read, prompts)[:, 0]
        score, details = self.metric(read, prompts, return_details=True)
        return score[:, 0], details_of(details)

    def loss(self, images: Tensor | list[Tensor], prompts: Iterable[str] | str) -> Tensor:
        """Compute minus the mean reward, a scalar, whose gradient flows back into the images.

        Args:
            images: tensor (N, 3, H, W), or a list of tensors (3, H, W), in [0, 1]; with a gradient they may stray by 0.5.
            prompts: one for each image, or a string for all.

        Raises:
            ImageError: for images that are not tensors, through which no gradient flows.
            ImageError, ValueError: for images or prompts that cannot be scored.
        """
        for image in images if isinstance(images, list | tuple) else [images]:
            if not isinstance(image, Tensor):
                raise ImageError(
                    f'An image is of type {type(image).__name__}: no gradient flows through it; pass the tensor that the '
                    'generator decoded.'
                )
        return -self(images, prompts).mean()


def details_of(details: Details) -> dict[str, Tensor]:
    """What is known about each image besides its reward, (N,) each and without gradients.

    Returns:
        The score of each target by its name; ``novelty``, above 1 for an image so far from the training images that its
        score is a guess, if the checkpoint knows it; ``cut_tokens``, how many tokens of its prompt were not read.
    """
    known = {name: score[:, 0].detach() for name, score in details.scores.items()}
    if details.novelty is not None:
        known['novelty'] = details.novelty.detach()
    return known | {'cut_tokens': torch.tensor(details.cut_tokens)}


def _has_gradient(images: Any) -> bool:
    each = images if isinstance(images, list | tuple) else [images]
    return any(isinstance(image, Tensor) and image.requires_grad for image in each)
