"""MoE-AGIQA as a metric of torchmetrics, for those who train with Lightning or in several processes."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from .reward import Reward

try:
    from torchmetrics import Metric
except ImportError:
    raise ImportError(
        "MoEAGIQAScore needs torchmetrics; install it with pip install 'pyiqa-moeagiqa[torchmetrics]'."
    ) from None


class MoEAGIQAScore(Metric):
    """Mean MoE-AGIQA score of images for their prompts: a float32 scalar, about 0 to 1, higher is better.

    Sum and count are summed over processes. ``state_dict`` holds them after ``persistent(True)``, never the network's weights,
    which do not change. The network moves with the metric, and keeps its dtype.

    Args:
        target: 'quality', 'alignment' or another target that the checkpoint has; by default its first.
        metric_options: of ``MoEAGIQAMetric``, such as ``{'fast': True}``.
        options: of ``torchmetrics.Metric``, such as ``dist_sync_on_step=True``.

    Raises:
        CheckpointError: if the weights cannot be obtained or used.
        OptionError: for an option out of range.
        ImportError: if torchmetrics is not installed.

    Example:
        >>> import torch
        >>> from pyiqa_moeagiqa import MoEAGIQAScore
        >>> score = MoEAGIQAScore()
        >>> score.update(torch.rand(2, 3, 64, 64), ['a cat', 'a dog'])
        >>> score.compute().shape
        torch.Size([])
    """

    is_differentiable = True
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    total: Tensor
    count: Tensor

    def __init__(self, target: str | None = None, metric_options: dict[str, Any] | None = None, **options: Any):
        super().__init__(**options)
        self.reward = Reward(target, device='cpu', **metric_options or {})  # no module, so no part of state_dict
        self.add_state('total', torch.tensor(0.0), dist_reduce_fx='sum')
        self.add_state('count', torch.tensor(0), dist_reduce_fx='sum')

    def update(self, images: Any, prompts: Iterable[str] | str) -> None:
        """Add images with their prompts, both as ``Reward`` takes them.

        Raises:
            ImageError, ValueError: for images or prompts that cannot be scored.
        """
        rewards = self.reward(images, prompts)
        self.total = self.total + rewards.sum()
        self.count = self.count + len(rewards)

    def compute(self) -> Tensor:
        """Return the mean score of all images since the last reset; NaN if there were none."""
        return self.total / self.count

    def plot(self, val: Tensor | Sequence[Tensor] | None = None, ax: Any = None) -> Any:
        """Draw a value, or several over time, by default ``compute()``.

        Args:
            val: what ``forward`` or ``compute`` returned, once or several times.
            ax: matplotlib axes to draw on; by default new ones.

        Returns:
            Figure and axes.
        """
        return self._plot(val, ax)

    def _apply(self, function: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = '') -> 'MoEAGIQAScore':
        self.reward.metric._apply(function)
        return super()._apply(function, exclude_state)
