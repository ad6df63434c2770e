"""Turns what a Python user has (files, pictures, arrays, tensors, data sets, loaders) into items to score."""

import glob
import itertools
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL.Image import Image
from torch import Tensor

from ..data.columns import find_column, there_are
from ..data.table_files import READERS
from .dataset_rows import Shown, shown_in
from .sources import Item, SourceError, find_items

Prompts = str | Path | Iterable[str] | None


def items_of(images: Any, prompts: Prompts = None) -> Iterator[Item]:
    """Make items from ``images``, in their order; an error in one image is reported when that image is scored.

    Args:
        images: a path (file, folder, pattern) or a list of paths; a PIL image, array or tensor as ``read_images`` takes them,
            or a list of these; a data set, loader or pandas table whose rows are (image, prompt), dictionaries, or batches of
            them, with column names that ``data.columns`` knows; samples of a WebDataset.
        prompts: one for all images, a list with one for each, or a table of prompts for files: its ``Path``, or a string
            that names an existing table. Default: those that come with the images.

    Raises:
        SourceError, TableError: for images or prompts that cannot be used at all.
    """
    if isinstance(prompts, str) and Path(prompts).suffix.lower() in READERS and os.path.isfile(prompts):
        prompts = Path(prompts)
    if isinstance(images, str | Path):
        images = [images]
    elif isinstance(images, pd.DataFrame):
        images = _of_table(images, prompts)
    elif getattr(images, 'ndim', 0) == 1 and hasattr(images, 'tolist'):  # a column of a table
        images = images.tolist()
    if not isinstance(prompts, str | Path | None):
        return _with_own_prompts(images, list(prompts))
    if isinstance(images, list | tuple) and images and all(isinstance(image, str | Path) for image in images):
        return _files([str(path) for path in images], prompts)
    if isinstance(prompts, Path):
        raise SourceError(f'{prompts}: a table of prompts is for image files; give a list of prompts.')
    shown = shown_in(images, prompts is None)
    return (_item(number, one if prompts is None else one._replace(prompt=prompts)) for number, one in enumerate(shown))


def _of_table(table: pd.DataFrame, prompts: Prompts) -> list[Any]:
    """The rows of a table; its images alone if prompts are given separately or the files bring their own."""
    image, prompt = (find_column(table.columns, name) for name in ('path', 'prompt'))
    if image is None:
        raise SourceError(f"The table has no column 'path'; {there_are(table.columns, 'path')}.")
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise SourceError(f'The table has two columns {twice[0]!r}: rename one.')
    images = table[image].tolist()
    if prompts is not None:
        return images
    if prompt is not None:
        return [{'path': path, 'prompt': text} for path, text in zip(images, table[prompt].tolist(), strict=True)]
    if not all(isinstance(path, str | Path) for path in images):
        raise SourceError(f"The table has no column 'prompt'; {there_are(table.columns, 'prompt')}.")
    return images


def _item(number: int, shown: Shown) -> Item:
    if isinstance(shown.image, str | Path):
        return Item(Path(shown.image), shown.prompt)
    if shown.image is None:
        shown = shown._replace(image=SourceError('there is no image'))
    return Item(shown.name or f'image {number}', shown.prompt, shown.image)


def _files(paths: list[str], prompts: str | Path | None) -> Iterator[Item]:
    """Files with their prompts. If all are named one by one, each has an item, even a file that does not exist."""
    prompt, table = (None, prompts) if isinstance(prompts, Path) else (prompts, None)
    there = [path for path in paths if os.path.lexists(path)]
    patterns = [path for path in paths if glob.has_magic(path) and not os.path.lexists(path)]
    if patterns or len(paths) == 1 or any(map(os.path.isdir, there)):
        return iter(find_items(paths, prompt, table))
    found = {os.path.abspath(item.path): item for item in find_items(there, prompt, table, images=map(Path, there))}
    gone = '' if prompt is None else prompt
    return (found.get(os.path.abspath(path), Item(Path(path), gone))._replace(path=Path(path)) for path in paths)


def _with_own_prompts(images: Any, prompts: list[str]) -> Iterator[Item]:
    """Images with one prompt each."""
    for number, prompt in enumerate(prompts):
        if not isinstance(prompt, str):
            raise SourceError(f'Prompt {number} is {prompt!r} of type {type(prompt).__name__}: it must be a string.')
    if not isinstance(images, list | tuple | Tensor | np.ndarray | Image):
        return _paired(shown_in(images, False), prompts)
    alone = list(shown_in(images, False))
    for image in (shown.image for shown in alone):
        if isinstance(image, str | Path) and (os.path.isdir(image) or _is_pattern(str(image))):
            raise SourceError(f'{image}: a list of prompts needs images named one by one; or give one prompt for all.')
    if len(alone) != len(prompts):
        raise SourceError(f'{len(prompts)} prompts were given for {len(alone)} images: give one prompt per image.')
    return _paired(alone, prompts)


def _is_pattern(path: str) -> bool:
    return glob.has_magic(path) and not os.path.lexists(path)


def _paired(images: Iterable[Shown], prompts: list[str]) -> Iterator[Item]:
    """Pair images with prompts. A generator's length is known only at its end, so a mismatch is reported then."""
    pairs = itertools.zip_longest(images, prompts)
    for number, (shown, prompt) in enumerate(pairs):
        if shown is None:
            warnings.warn(
                f'{len(prompts)} prompts were given for {number} images: those left over are not used.', stacklevel=2
            )
            return
        if prompt is None:
            shown, prompt = Shown(SourceError(f'it has no prompt: {len(prompts)} were given')), ''
        yield _item(number, shown._replace(prompt=prompt))
