"""What scoring and the leaderboard use of a metric of pyiqa, which has no types of its own."""

from typing import Any, Protocol


class Metric(Protocol):
    """What ``pyiqa.create_metric`` returns.

    Attributes:
        net: the network; this package's networks have ``read_images``, ``made_by`` and ``info`` as well.
        device: where it computes.
        metric_name: the name that pyiqa knows it by.
        lower_better: whether its lower scores are better.
    """

    net: Any
    device: Any
    metric_name: str
    lower_better: bool

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Score images."""
