"""Scores the pictures of many callers with one metric: they share batches, and wait in one queue that is bounded."""

import asyncio
import io
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import BinaryIO, NamedTuple

from ..archs.hardware import images_at_once
from ..images.files import ImageError, opened
from ..images.room import Room
from ..prompts import prompt_in_image
from ..scoring.ahead import THREADS
from ..scoring.protocol import Metric
from ..scoring.result import Result
from ..scoring.run import Scorer, Seen, reads_images
from ..scoring.sources import Item
from .figures import Figures
from .limits import Limits

GATHER = 0.01  # seconds that a batch waits for pictures that are being read
IMAGE = 'image'  # what ``read_images`` calls a picture that has no path
GIVEN, NO_PROMPT = 'given', 'there is no prompt for it: none was given, and none is in its metadata'


class Busy(Exception):
    """The queue is full, or the service is being stopped; the message is one sentence."""


class TooSlow(Exception):
    """Scores were not there in time; the message is one sentence."""


class Picture(NamedTuple):
    """A caller's picture: its name, its file, and its prompt; with None, the prompt is looked for in its metadata."""

    name: str
    file: BinaryIO
    prompt: str | None


class Answer(NamedTuple):
    """A picture's result, with its name as path, and where its prompt is from: 'given', or such as 'PNG metadata of ComfyUI'; '' if it has none."""

    result: Result
    prompt_from: str


@dataclass
class _Job:
    """A picture on its way through the queue; ``seen`` and ``prompt_from`` are known once it is read."""

    picture: Picture
    place: int
    future: 'Future[Answer]' = field(default_factory=Future)
    seen: Result | Seen | None = None
    prompt_from: str = ''


class Service:
    """One metric that serves many callers at a time.

    Threads read pictures, at most as many pixels at once as ``images.room`` has room for. One thread scores what is read, in
    batches that suit the device. Pictures of different requests share a batch.

    Args:
        metric: from ``pyiqa.create_metric``.
        limits: of requests and of the queue.
        figures: count what is done.
        at_once: images in a batch; by default as many as the device is fast at.
    """

    def __init__(self, metric: Metric, limits: Limits, figures: Figures, at_once: int | None = None):
        self.metric, self.limits, self._figures = metric, limits, figures
        self._at_once = (at_once or images_at_once(metric.device)) if reads_images(metric) else 1
        self._scorer = Scorer(metric, {})
        self._lock = threading.Lock()
        self._held = self._places = 0
        self._is_closed = False
        self._room = Room()
        self._readers = ThreadPoolExecutor(THREADS, 'read')
        self._ready: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._score_all, name='score', daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether pictures are scored."""
        return self._thread.is_alive() and not self._is_closed

    async def score(self, pictures: Sequence[Picture]) -> list[Answer]:
        """Score pictures; returns their answers in order. A picture that fails has a reason and does not stop the others.

        Raises:
            Busy: at once, if the queue has no room for all of them.
            TooSlow: after ``limits.timeout`` seconds; what has not begun by then is dropped.
        """
        futures = [asyncio.wrap_future(job.future) for job in self._admit(pictures)]
        try:
            return await asyncio.wait_for(asyncio.gather(*futures), self.limits.timeout)
        except asyncio.TimeoutError:
            raise TooSlow(f'It was not scored within {self.limits.timeout} seconds: try again later.') from None

    def close(self) -> None:
        """Score what is in the queue, take nothing more, and end the threads."""
        with self._lock:
            self._is_closed = True
        self._readers.shutdown(wait=True)
        self._ready.put(None)
        self._thread.join()

    def _admit(self, pictures: Sequence[Picture]) -> list[_Job]:
        with self._lock:
            if self._is_closed:
                raise Busy('The service is being stopped: try again later.')
            if self._held + len(pictures) > self.limits.queue:
                raise Busy(f'{self._held} images wait already: try again later.')
            self._hold(len(pictures))
            jobs = [_Job(picture, self._places + number) for number, picture in enumerate(pictures)]
            self._places += len(jobs)
            for job in jobs:  # within the lock: readers must start in the order of their places
                self._readers.submit(self._read, job)
        return jobs

    def _hold(self, more: int) -> None:
        self._held += more
        self._figures.waiting.set(self._held)

    def _leave(self, job: _Job) -> None:
        """Make room for others."""
        job.seen = None
        self._room.leave(job.place)
        with self._lock:
            self._hold(-1)

    def _read(self, job: _Job) -> None:
        """Read a picture, unless its caller has stopped waiting; ``Scorer.read`` raises nothing."""
        with self._room.reading(job.place):
            if not job.future.cancelled():
                item = self._item(job.picture)
                job.prompt_from = '' if item.prompt is None else item.source
                job.seen = self._scorer.read(item)
        self._ready.put(job)

    def _item(self, picture: Picture) -> Item:
        """The picture as an item to score; one that cannot be read holds the error."""
        prompt, source = picture.prompt, GIVEN
        try:
            data = picture.file.read()
            with opened(io.BytesIO(data), IMAGE) as image:
                if image.width * image.height > self.limits.most_pixels:
                    raise ImageError(
                        f'{IMAGE}: it has {image.width} x {image.height} pixels, and at most {self.limits.max_megapixels} '
                        'million are taken: make it smaller.'
                    )
                if prompt is None:
                    prompt, source = prompt_in_image(image) or (None, NO_PROMPT)
        except (ImageError, OSError, ValueError) as error:  # ValueError: a file that was closed, as its caller has gone
            return Item(IMAGE, prompt or '', error, source if prompt else '')
        return Item(IMAGE, prompt, data, source)

    def _score_all(self) -> None:
        """Score batch by batch until ``close``."""
        while batch := self._next_batch():
            wanted = [job for job in batch if job.future.set_running_or_notify_cancel()]
            results = self._scorer.score([job.seen for job in wanted if job.seen is not None])
            self._figures.scored(results)
            for job, result in zip(wanted, results, strict=True):
                job.future.set_result(Answer(replace(result, path=job.picture.name), job.prompt_from))
            for job in batch:
                self._leave(job)

    def _next_batch(self) -> list[_Job]:
        """Wait for a picture, then for those that are read soon after it; nothing once the service is closed."""
        first = self._ready.get()
        if first is None:
            return []
        batch, end = [first], time.monotonic() + GATHER
        while len(batch) < min(self._at_once, self._held):
            try:
                job = self._ready.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                self._ready.put(None)  # for the next call, which ends the thread
                break
            batch.append(job)
        return batch
