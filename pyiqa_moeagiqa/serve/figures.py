"""What a service counts of itself, for Prometheus."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..scoring.result import Result

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
IMAGES = (1, 2, 4, 8, 16, 32)


class Figures:
    """Counters of one service, in a registry of their own: several services can be in one process.

    Attributes:
        waiting: images in the queue, those that are being scored included.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            'moeagiqa_requests', 'Requests to /score by HTTP status.', ['status'], registry=self._registry
        )
        self._seconds = Histogram(
            'moeagiqa_request_seconds', 'Seconds until /score answers.', buckets=SECONDS, registry=self._registry
        )
        self._images = Counter(
            'moeagiqa_images', 'Images by outcome: scored or failed.', ['outcome'], registry=self._registry
        )
        self._batch = Histogram(
            'moeagiqa_batch_images', 'Images that share a batch.', buckets=IMAGES, registry=self._registry
        )
        self.waiting = Gauge('moeagiqa_waiting_images', 'Images that wait or are scored.', registry=self._registry)

    def answered(self, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(status).inc()
        self._seconds.observe(seconds)

    def scored(self, results: Sequence[Result]) -> None:
        """Count a batch."""
        if results:
            self._batch.observe(len(results))
        for result in results:
            self._images.labels('failed' if result.score is None else 'scored').inc()

    def as_text(self) -> bytes:
        """All figures in Prometheus's text format."""
        return generate_latest(self._registry)
