"""What a Python user has (files, pictures, arrays, tensors, data sets, loaders) as items to score."""

import glob
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL.Image import Image
from torch import Tensor

from .sources import Item, SourceError, find_items

IMAGE_KEYS, PROMPT_KEYS = ('image', 'img', 'path'), ('prompt', 'text', 'caption')
Prompts = str | Path | Iterable[str] | None
Pair = tuple[Any, str | None]


def items_of(images: Any, prompts: Prompts = None) -> Iterator[Item]:
    """Items of whatever holds images, in its order; what is wrong with one image is left to its turn.

    Args:
        images: a path (file, folder, pattern) or a list of paths; a PIL image, array or tensor as ``read_images`` takes them,
            or a list of these; a data set, loader or pandas table whose rows are (image, prompt), dictionaries, or batches of them.
        prompts: one for all images, a list of one for each, or the ``Path`` of a table of prompts for files. Where none are
            given, those that come with the images.

    Raises:
        SourceError, TableError: for images or prompts that cannot be used at all.
    """
    if isinstance(images, str | Path):
        images = [images]
    elif isinstance(images, pd.DataFrame):
        images = images.to_dict('records')
    elif getattr(images, 'ndim', 0) == 1 and hasattr(images, 'tolist'):  # a column of a table
        images = images.tolist()
    if not isinstance(prompts, str | Path | None):
        return _with_own_prompts(images, list(prompts))
    if isinstance(images, list | tuple) and images and all(isinstance(image, str | Path) for image in images):
        return _files([str(path) for path in images], prompts)
    if isinstance(prompts, Path):
        raise SourceError(f'{prompts}: a table of prompts is for image files; give a list of prompts.')
    pairs = _pairs_of(images, prompts is None)
    return (_item(number, image, own if prompts is None else prompts) for number, (image, own) in enumerate(pairs))


def _item(number: int, image: Any, prompt: str | None) -> Item:
    return Item(Path(image), prompt) if isinstance(image, str | Path) else Item(f'image {number}', prompt, image)


def _files(paths: list[str], prompts: str | Path | None) -> Iterator[Item]:
    """Files with their prompts. Where all are named one by one each has its item, those that are not there as well."""
    prompt, table = (None, prompts) if isinstance(prompts, Path) else (prompts, None)
    there = [path for path in paths if os.path.lexists(path)]
    patterns = [path for path in paths if glob.has_magic(path) and not os.path.lexists(path)]
    if patterns or len(paths) == 1 or any(map(os.path.isdir, there)):
        return iter(find_items(paths, prompt, table))
    found = {os.path.abspath(item.path): item for item in find_items(there, prompt, table)}
    gone = '' if prompt is None else prompt
    return (found.get(os.path.abspath(path), Item(Path(path), gone))._replace(path=Path(path)) for path in paths)


def _with_own_prompts(images: Any, prompts: list[str]) -> Iterator[Item]:
    """Images with one prompt each."""
    if not isinstance(images, list | tuple | Tensor | np.ndarray | Image):
        raise SourceError(
            f'A list of prompts was given for a {type(images).__name__}: let its rows hold their prompts.'
        )
    alone = [image for image, _ in _pairs_of(images, False)]
    for image in alone:
        if isinstance(image, str | Path) and (os.path.isdir(image) or glob.has_magic(str(image))):
            raise SourceError(f'{image}: a list of prompts needs images named one by one; or give one prompt for all.')
    if len(alone) != len(prompts):
        raise SourceError(f'{len(prompts)} prompts were given for {len(alone)} images: give one prompt per image.')
    for number, prompt in enumerate(prompts):
        if not isinstance(prompt, str):
            raise SourceError(f'Prompt {number} is {prompt!r} of type {type(prompt).__name__}: it must be a string.')
    return map(_item, itertools.count(), alone, prompts)


def _pairs_of(images: Any, with_prompts: bool) -> Iterator[Pair]:
    """Image and prompt of everything in a collection; an exception in the place of what cannot be had."""
    if isinstance(images, Image | Tensor | np.ndarray | bytes):
        return _pairs_in(images, 0, with_prompts)
    if isinstance(images, Mapping):
        if not any(key in images for key in IMAGE_KEYS):
            raise SourceError(
                f'The images are a {type(images).__name__} of {", ".join(map(str, images))}: give one of them.'
            )
        return _pairs_in(images, 0, with_prompts)
    if not hasattr(images, '__getitem__') and not isinstance(images, Iterable):
        raise SourceError(
            f'The images are of type {type(images).__name__}: give paths, pictures, tensors or a data set.'
        )
    return _pairs_of_rows(images, with_prompts)


def _pairs_of_rows(images: Any, with_prompts: bool) -> Iterator[Pair]:
    for number, row in enumerate(_rows(images)):
        try:
            yield from _pairs_in(row, number, with_prompts)
        except SourceError as error:
            yield error, ''


def _rows(images: Any) -> Iterator[Any]:
    """A collection's rows, an exception in the place of one that could not be had: the others are still scored."""
    try:
        count = len(images)
    except TypeError:  # also of a loader that does not know
        count = None
    by_place = count is not None and hasattr(images, '__getitem__')
    rows = None if by_place else iter(images)
    for number in itertools.count() if count is None else range(count):
        try:
            row = images[number] if by_place else next(rows)
        except StopIteration:
            return
        except Exception as error:  # whatever a data set raises for a damaged image
            row = error
        yield row
        if count is None and isinstance(row, Exception):  # a generator that has raised is at its end
            return


def _pairs_in(row: Any, number: int, with_prompts: bool) -> Iterator[Pair]:
    """A row is an image, an image with its prompt, a dictionary of the two, or a batch of one of these."""
    prompts = getattr(row, 'prompts', None)  # of data.prompted_image
    if isinstance(row, Exception):
        prompts = ''
    elif isinstance(row, Mapping):
        row, prompts = _value(row, IMAGE_KEYS, number), _value(row, PROMPT_KEYS, number) if with_prompts else None
    elif isinstance(row, tuple | list):
        if len(row) < 2:
            raise SourceError(f'row {number} has {len(row)} values: it must have an image and its prompt')
        row, prompts = row[:2]
    images = list(row) if isinstance(row, list | tuple) or getattr(row, 'ndim', 3) == 4 else [row]
    if not with_prompts or prompts is None:
        return ((image, None) for image in images)
    prompts = [prompts] if isinstance(prompts, str) else prompts
    is_text = isinstance(prompts, list | tuple) and all(isinstance(prompt, str) for prompt in prompts)
    if not is_text or len(prompts) != len(images):
        raise SourceError(f'row {number} has for a prompt {prompts!r:.40}: it must be a string for each image')
    return zip(images, prompts, strict=True)


def _value(row: Mapping[str, Any], keys: Sequence[str], number: int) -> Any:
    for key in keys:
        if key in row:
            return row[key]
    raise SourceError(f'row {number} has {", ".join(map(str, row))}: one of them must be named {" or ".join(keys)}')
