"""Many images scored one after the other: what fails is reported, the rest goes on, what is done stays done."""

import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .output import ScoreFile
from .sources import Item


@dataclass
class Result:
    """One image's score, or why it has none; ``notes`` are what was said about it, such as a prompt that was cut."""

    path: str
    prompt: str
    score: float | None
    reason: str = ''
    notes: tuple[str, ...] = ()


def score_items(metric: Any, items: Sequence[Item], output: ScoreFile | None = None) -> Iterator[Result]:
    """Score images in order; yields a result for each, those that ``output`` holds already first.

    Args:
        metric: from ``pyiqa.create_metric``; metrics that take no prompts are given none.
        items: what to score.
        output: where rows are written as they come; its rows are not computed again.
    """
    done = {(row['path'], row['prompt']): row['score'] for row in output.rows} if output else {}
    todo = []
    for item in items:
        key = (str(item.path), item.prompt or '')
        if key in done:
            yield Result(*key, done[key])
        else:
            todo.append(item)
    score, needs_prompt = scorer(metric), takes_prompts(metric)
    for item in todo:
        if needs_prompt and item.prompt is None:
            yield Result(str(item.path), '', None, 'there is no prompt for it in the prompts file')
            continue
        result = _score_one(score, item)
        if output and result.score is not None:
            output.add(result.path, result.prompt, result.score)
        yield result


def takes_prompts(metric: Any) -> bool:
    """Whether a metric of pyiqa looks at the prompt."""
    return 'caption_list' in inspect.signature(metric.net.forward).parameters


Scorer = Callable[[str, str], float]


def scorer(metric: Any) -> Scorer:
    """One call for all of pyiqa's metrics: path and prompt in, number out."""
    if takes_prompts(metric):
        return lambda path, prompt: float(metric(path, caption_list=[prompt]))
    return lambda path, prompt: float(metric(path))


def _score_one(score: Scorer, item: Item) -> Result:
    path, prompt = str(item.path), item.prompt or ''
    if not _is_unicode(path + prompt):
        return Result(path, prompt, None, 'its name or prompt is no valid Unicode; change it')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always', UserWarning)
        try:
            value = score(path, prompt)
        except Exception as error:  # whatever a metric or decoder raises, the other images are still scored
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            return Result(path, prompt, None, reason.removeprefix(f'{path}: '))
    if not math.isfinite(value):
        return Result(path, prompt, None, f'its score is {value}')
    notes = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    return Result(path, prompt, value, notes=notes)


def _is_unicode(text: str) -> bool:
    """Whether text can be written as UTF-8; a file name on disk may hold any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
