"""Rows of data sets, loaders and tables in memory: each is an image, an image with its prompt, or a batch of either."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL.Image import Image
from torch import Tensor

from ..data.columns import NAMES, find_column
from ..images.files import ENDINGS
from .sources import SourceError

ID_KEYS = ('id', 'image_id', '__key__', 'key', 'name', 'file_name', 'filename')
# A WebDataset sample's keys are the endings of its files.
_IMAGE_PARTS, _PROMPT_PARTS = (
    tuple(ending[1:] for ending in sorted(ENDINGS)),
    ('txt', 'prompt.txt', 'caption.txt'),
)


class Shown(NamedTuple):
    """One image, its prompt (None if none came with it), and its name in the data set ('' if it has none)."""

    image: Any
    prompt: str | None = None
    name: str = ''


def shown_in(images: Any, with_prompts: bool) -> Iterator[Shown]:
    """Yield every image of a collection, with an exception in the place of an image that cannot be read.

    Raises:
        SourceError: for an object that is not a collection of images.
    """
    if isinstance(images, Image | Tensor | np.ndarray | bytes):
        return _shown_in_row(images, 0, with_prompts)
    if isinstance(images, Mapping):
        if image_key(images) is None:
            raise SourceError(
                f'The images are a {type(images).__name__} of {", ".join(map(str, images))}: give one of them.'
            )
        return _shown_in_row(images, 0, with_prompts)
    if hasattr(images, 'read'):
        raise SourceError('The images are an open file: give its path, or what its read() gives.')
    if not hasattr(images, '__getitem__') and not isinstance(images, Iterable):
        raise SourceError(
            f'The images are of type {type(images).__name__}: give paths, pictures, tensors or a data set.'
        )
    names = getattr(images, 'column_names', None)  # a Hugging Face data set has it
    if isinstance(names, list) and names:
        require_keys(dict.fromkeys(names), 'the data set', with_prompts)
    return _shown_in_rows(images, with_prompts)


def _shown_in_rows(images: Any, with_prompts: bool) -> Iterator[Shown]:
    for number, row in enumerate(_rows(images)):
        try:
            yield from _shown_in_row(row, number, with_prompts)
        except SourceError as error:
            yield Shown(error, '', _path_in(row))


def _rows(images: Any) -> Iterator[Any]:
    """Yield a collection's rows, with an exception in the place of one that fails: the others are still scored."""
    try:
        count = len(images)
    except TypeError:  # also from a loader that does not know its length
        count = None
    by_place = count is not None and hasattr(images, '__getitem__')
    rows = iter(() if by_place else images)
    for number in itertools.count() if count is None else range(count):
        try:
            row = images[number] if by_place else next(rows)
        except StopIteration:
            return
        except Exception as error:  # a data set can raise anything for a damaged image
            row = error
        yield row
        if count is None and isinstance(row, Exception):  # a generator ends once it has raised
            return


def _shown_in_row(row: Any, number: int, with_prompts: bool) -> Iterator[Shown]:
    row, names = _undecoded(row), None
    prompts = getattr(row, 'prompts', None)  # set by data.prompted_image
    if isinstance(row, Exception):
        prompts = ''
    elif isinstance(row, Mapping):
        require_keys(row, f'row {number}', with_prompts)
        prompts = _prompt_of(row) if with_prompts else None
        names = next((row[key] for key in ID_KEYS if key in row), None)
        row = row[image_key(row)]
    elif isinstance(row, tuple | list):
        if len(row) < 1 + with_prompts:
            what = 'an image and its prompt' if with_prompts else 'an image'
            raise SourceError(f'row {number} has {len(row)} values: it must have {what}')
        row, prompts = row[0], row[1] if with_prompts else None
    images = list(row) if isinstance(row, list | tuple) or getattr(row, 'ndim', 3) == 4 else [row]
    images, names = [_undecoded(image) for image in images], _names(names, len(images))
    if not with_prompts or prompts is None:
        return map(Shown, images, itertools.repeat(None), names)
    prompts = [prompts] if isinstance(prompts, str) else prompts
    is_text = isinstance(prompts, list | tuple) and all(isinstance(prompt, str) for prompt in prompts)
    if not is_text or len(prompts) != len(images):
        raise SourceError(f'row {number} has for a prompt {prompts!r:.40}: it must be a string for each image')
    return map(Shown, images, prompts, names)


def _undecoded(image: Any) -> Any:
    """The bytes or path of an image that a Hugging Face data set has not decoded; any other image unchanged."""
    is_undecoded = isinstance(image, Mapping) and set(image) == {'bytes', 'path'}
    return image['bytes'] or image['path'] if is_undecoded else image


def _path_in(row: Any) -> str:
    """The path in a row that cannot be used; '' if it has none."""
    path = row.get(image_key(row)) if isinstance(row, Mapping) else None
    return path if isinstance(path, str) else ''


def _names(names: Any, count: int) -> list[str]:
    """A batch's names as text; '' for each image if there are no names or their number is not ``count``."""
    names = names.tolist() if isinstance(names, Tensor | np.ndarray) else names
    names = list(names) if isinstance(names, list | tuple) else [names]
    return [str(name) for name in names] if len(names) == count and None not in names else [''] * count


def image_key(row: Mapping[str, Any]) -> str | None:
    """The name of the image among a row's keys or a data set's columns; None if there is none."""
    key = find_column(row, 'path')
    return key if key is not None else next((part for part in _IMAGE_PARTS if part in row), None)


def prompt_key(row: Mapping[str, Any]) -> str | None:
    """The name of the prompt among a row's keys or a data set's columns; None if there is none."""
    key = find_column(row, 'prompt')
    return key if key is not None else next((part for part in (*_PROMPT_PARTS, 'json') if part in row), None)


def _prompt_of(row: Mapping[str, Any]) -> Any:
    """The prompt of a row; in a WebDataset it can be bytes, or be part of a JSON object."""
    key = prompt_key(row)
    value = row[key] if key is not None else None
    try:
        value = value.decode() if isinstance(value, bytes) else value
        values = json.loads(value) if key == 'json' and isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise SourceError(f'the prompt under {key!r} is no UTF-8 text or no JSON') from None
    if key == 'json' and isinstance(values, Mapping):
        inner = find_column(values, 'prompt')
        return values.get(inner, '')
    return values


def require_keys(row: Mapping[str, Any], where: str, with_prompts: bool) -> None:
    """Raise a SourceError if a row has no image, or no prompt although one is needed."""
    missing = [
        name
        for name, key in (('path', image_key(row)), ('prompt', prompt_key(row) if with_prompts else ''))
        if key is None
    ]
    if missing:
        names = ' or '.join(NAMES[missing[0]])
        raise SourceError(f'{where} has {", ".join(map(str, row))}: one of them must be named {names}')
