"""Scores many images in order: a failed image is reported, the others go on, and finished scores are not computed again."""

import hashlib
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from ..archs.hardware import images_at_once
from ..images.read import ImageBatch, read_images
from ..metrics.notes import image_notes
from ..options import first_line
from .ahead import read_batches
from .output import Key, ScoreFile
from .protocol import Metric
from .result import Result, content_of, known_result, row_of
from .scale import numbers_of, scales_of
from .score_formats import Row
from .score_stream import ScoreStream
from .sources import Item

READ_AHEAD = 4  # images; on an accelerator twice the number that it scores at once, if that is more


def score_items(
    metric: Metric, items: Iterable[Item], output: ScoreFile | ScoreStream | None = None, at_once: int | None = None
) -> Iterator[Result]:
    """Score images; yields a result for each, in order.

    Threads read images while others are scored. Images are scored in batches on devices that gain by it.

    Args:
        metric: from ``pyiqa.create_metric``; metrics that take no prompts are given none.
        items: what to score; taken lazily, as images are read ahead.
        output: receives each row as it is ready; rows that it has already are not computed again. Drop rows of files that
            have changed before the call (see ``changed_rows``).
        at_once: how many images share a batch; by default as many as the device is fast at.
    """
    done = {(row['path'], row['prompt']): row for row in output.rows} if output else {}
    at_once = (at_once or images_at_once(metric.device)) if reads_images(metric) else 1
    scorer = Scorer(metric, done, with_content=output is not None)
    for batch in read_batches(scorer.read, items, max(READ_AHEAD, 2 * at_once), at_once):
        for result in scorer.score(batch):
            key = (result.path, result.prompt)
            if output and result.score is not None and key not in done:
                output.add(*key, result.score, result.numbers, result.content)
                done[key] = row_of(result)
            yield result


def takes_prompts(metric: Metric) -> bool:
    """Whether a metric of pyiqa looks at the prompt."""
    return 'caption_list' in inspect.signature(metric.net.forward).parameters


def reads_images(metric: Metric) -> bool:
    """Whether a metric has its own ``read_images``, as this package's metrics do; images are then read ahead."""
    return hasattr(metric.net, 'read_images')


def as_batch(pixels: Tensor) -> Tensor:
    """One image as a batch of floats, (1, 3, H, W) in [0, 1], for metrics that do not read images themselves."""
    return (pixels if pixels.is_floating_point() else pixels / 255)[None]


@dataclass
class Seen:
    """An image as the metric takes it, with its prompt and the notes from reading it."""

    path: str
    prompt: str
    image: Any
    notes: Sequence[str]
    content: str = ''


class Reader:
    """Reads items for a metric that need not be at hand: threads or other processes call it.

    Args:
        needs_prompt: whether the metric looks at the prompt.
        read_images: what the metric reads images with; None for a metric that takes paths or floats.
        with_content: whether files are hashed, which an output needs.
    """

    def __init__(self, needs_prompt: bool, read_images: Callable[[Any], ImageBatch] | None, with_content: bool = False):
        self.needs_prompt, self.read_images, self.with_content = needs_prompt, read_images, with_content

    def read(self, item: Item) -> Result | Seen:
        """Read an item for scoring, or return its result if the item fails; never raises."""
        path, prompt = str(item.path), item.prompt or ''
        if self.needs_prompt and item.prompt is None:
            return Result(path, '', None, item.source or 'there is no prompt for it')
        if not _is_unicode(path + prompt):
            return Result(path, prompt, None, 'its name or prompt is no valid Unicode; change it')
        # Hash before reading the pixels: if the file changes in between, the next run scores it again.
        content = _content(item) if self.with_content else ''
        try:
            return Seen(path, prompt, *self._image(item), content)
        except Exception as error:  # a decoder can raise anything; the other images are still scored
            return Result(path, prompt, None, reason_of(error, path))

    def _image(self, item: Item) -> tuple[Any, Sequence[str]]:
        """The image as the metric takes it, and notes from reading it; metrics that read no images get a path or floats."""
        if isinstance(item.image, Exception):
            raise item.image
        if self.read_images:
            images = self.read_images(str(item.path) if item.image is None else item.image)
            return images[0], images.notes
        if item.image is None:
            return str(item.path), ()
        images = read_images(item.image)
        return as_batch(images[0]), images.notes


def _content(item: Item) -> str:
    """SHA-256 of an image's file, or of the bytes that were one; '' for other images."""
    if isinstance(item.image, bytes):
        return hashlib.sha256(item.image).hexdigest()
    return content_of(item.path) if item.image is None else ''


class Scorer:
    """Turns items into results, with any metric of pyiqa.

    Args:
        metric: from ``pyiqa.create_metric``.
        done: rows that are known, by path and prompt.
        with_content: whether files are hashed, which an output needs.
    """

    def __init__(self, metric: Metric, done: Mapping[Key, Row], with_content: bool = False):
        self.metric, self.done = metric, done
        self.reader = Reader(takes_prompts(metric), getattr(metric.net, 'read_images', None), with_content)
        self.scales = scales_of(metric)

    def read(self, item: Item) -> Result | Seen:
        """Read an item for scoring, or return its result if it is known or the item fails. Called by threads; never raises."""
        path, prompt = str(item.path), item.prompt or ''
        if (path, prompt) in self.done:
            return known_result(path, prompt, self.done[path, prompt])
        return self.reader.read(item)

    def score(self, batch: Sequence[Result | Seen]) -> list[Result]:
        """The results of a batch, in its order."""
        scored = iter(self._score([part for part in batch if isinstance(part, Seen)]))
        return [next(scored) if isinstance(part, Seen) else part for part in batch]

    def _score(self, seen: list[Seen]) -> list[Result]:
        if not seen:
            return []
        try:
            answers = self._call(seen)
        except Exception as error:  # a metric can raise anything; the other images are still scored
            answers = [_Answer(math.nan)]
            reason = reason_of(error, seen[0].path)
        else:
            reason = f'its score is {answers[0].score}'
        if len(seen) > 1 and not all(math.isfinite(answer.score) for answer in answers):
            # Score one by one to find the image.
            return [self._score([one])[0] for one in seen]
        return [
            Result(
                one.path,
                one.prompt,
                answer.score,
                notes=(*one.notes, *answer.notes),
                scores=answer.scores,
                numbers=numbers_of(self.scales, answer.score, answer.scores, answer.novelty),
                content=one.content,
            )
            if math.isfinite(answer.score)
            else Result(one.path, one.prompt, None, reason)
            for one, answer in zip(seen, answers, strict=True)
        ]

    def _call(self, seen: list[Seen]) -> list['_Answer']:
        """Run the metric; returns an answer for each image."""
        prompts = {'caption_list': [one.prompt for one in seen]} if self.reader.needs_prompt else {}
        if not reads_images(self.metric):
            return [_Answer(float(self.metric(seen[0].image, **prompts)))]
        images = ImageBatch(one.image for one in seen)
        scores, details = self.metric(images, **prompts, return_details=True)
        targets = {name: values.flatten().tolist() for name, values in getattr(details, 'scores', {}).items()}
        known = getattr(details, 'novelty', None)
        novelty = [None] * len(seen) if known is None else known.tolist()
        tokenizer = getattr(self.metric.net, 'tokenizer', None)
        return [
            _Answer(
                score,
                {name: values[place] for name, values in targets.items()},
                image_notes(seen[place].prompt, details.cut_tokens[place], novelty[place], tokenizer),
                novelty[place],
            )
            for place, score in enumerate(scores.flatten().tolist())
        ]


class _Answer(NamedTuple):
    """A metric's answer for one image: its score, the scores of all targets by name, notes, and its novelty."""

    score: float
    scores: Mapping[str, float] = MappingProxyType({})
    notes: Sequence[str] = ()
    novelty: float | None = None


def reason_of(error: Exception, path: str) -> str:
    """The first line of an error, without the path, which the report names already."""
    return first_line(error).removeprefix(f'{path}: ')


def _is_unicode(text: str) -> bool:
    """Whether text can be written as UTF-8; a file name on disk can hold any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
