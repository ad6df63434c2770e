"""What is to be scored: image files from paths, folders and globs, each with its prompt."""

import glob
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..data.table import Check, is_text, read_table, require

IMAGE_ENDINGS = frozenset(
    '.avif .bmp .gif .jfif .jpeg .jpg .jp2 .pbm .pgm .png .ppm .tga .tif .tiff .webp'.split()  # noqa: SIM905
)


class SourceError(ValueError):
    """Paths or prompts that cannot be used, said in one sentence."""


class Item(NamedTuple):
    """An image file and its prompt; None where no prompt is known for it.

    What is no file has a name for its path and is itself the ``image``, as ``read_image`` takes it, or is the exception that
    came in its place.
    """

    path: Path | str
    prompt: str | None
    image: Any = None


def find_images(paths: Sequence[str | Path]) -> Iterator[Path]:
    """Image files named by files, folders (searched through) and globs: each once, in the order given.

    Folders are walked as the images are asked for: no list of a hundred thousand is made.

    Raises:
        SourceError: for a path where there is nothing, or a folder without images.
    """
    seen: set[str] = set()
    for name in map(str, paths):
        matches = [Path(name)] if os.path.lexists(name) else sorted(map(Path, glob.glob(name, recursive=True)))
        if not matches:
            raise SourceError(f'{name}: there is no such file or folder, and as a pattern it matches nothing.')
        images = itertools.chain.from_iterable(map(_images_at, matches))
        first = next(images, None)
        if first is None:
            raise SourceError(f'{name}: there are no images in this folder.')
        images = itertools.chain([first], images)
        yield from images if len(paths) == len(matches) == 1 else _unseen(images, seen)


def _unseen(images: Iterable[Path], seen: set[str]) -> Iterator[Path]:
    for image in images:
        place = os.path.abspath(image)
        if place not in seen:
            seen.add(place)
            yield image


def _images_at(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError:
        yield path  # an item that cannot be scored, so that it is reported
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _images_at(Path(entry.path))
        elif os.path.splitext(entry.name)[1].lower() in IMAGE_ENDINGS and entry.is_file():
            yield Path(entry.path)


def find_items(
    paths: Sequence[str | Path], prompt: str | None = None, table: Path | str | None = None
) -> Iterator[Item]:
    """Images as ``find_images`` finds them, each with its prompt: one for all, or from a table of ``path`` and ``prompt``.

    A table's paths are relative to the table, or to a folder that is scored or that a scored file is in. Where a
    folder is scored, rows of the table whose image is nowhere are items too, so that they are reported.

    Raises:
        SourceError, TableError: for paths or prompts that cannot be used, both kinds of prompts, or a table that cannot be.
    """
    if prompt is not None and table is not None:
        raise SourceError('Prompts come from one place: give either --prompt TEXT for all images or --prompts FILE.')
    images = find_images(paths)
    if table is None:
        return (Item(path, prompt) for path in images)
    folders = [Path(path) for path in paths if Path(path).is_dir()]
    prompts = PromptTable(table, [*folders, *(Path(path).parent for path in paths if not Path(path).is_dir())])
    items = (Item(path, prompts.prompt_of(path)) for path in images)
    return itertools.chain(items, prompts.rows_without_image(folders) if folders else [])


class PromptTable:
    """The prompts of a table whose paths are relative to it, or to one of some folders.

    Args:
        table: CSV, JSON lines or Parquet with columns ``path`` and ``prompt``.
        folders: what its paths may be relative to, besides its own folder.

    Raises:
        TableError: for a table that cannot be used, such as one with two prompts for one path.
    """

    def __init__(self, table: Path | str, folders: Iterable[Path]):
        self.folder = Path(table).parent
        self._folders = {folder.resolve() for folder in folders}
        rows = read_table(table, ['path', 'prompt'])
        named = [isinstance(path, str) and path != '' for path in rows['path']]
        require(
            table,
            rows,
            Check(named, 'there is no path', 'path'),
            Check(is_text(rows['prompt']), 'the prompt is no text', 'prompt'),
        )
        names = rows['path'].map(os.path.normpath)
        prompts = rows['prompt'].groupby(names).transform('nunique')
        require(table, rows, Check(prompts == 1, 'the same path has different prompts', 'path'))
        self._by_name = dict(zip(names, rows['prompt'], strict=True))
        self._by_place = {_place(self.folder / name): prompt for name, prompt in self._by_name.items()}

    def prompt_of(self, image: Path) -> str | None:
        """The image's prompt: by the path relative to the table, or else to the nearest of the folders."""
        place = _place(image)
        if place in self._by_place:
            return self._by_place[place]
        names = (str(place.relative_to(above)) for above in place.parents if above in self._folders)
        return next((self._by_name[name] for name in names if name in self._by_name), None)

    def rows_without_image(self, folders: Sequence[Path]) -> list[Item]:
        """Rows whose image is neither beside the table nor in ``folders``."""
        missing = []
        for name, prompt in self._by_name.items():
            places = [self.folder / name, *(folder / name for folder in folders)]
            if not any(place.exists() for place in places):
                likely = next((place for place in places if place.parent.is_dir()), places[0])
                missing.append(Item(likely, prompt))
        return missing


def _place(path: Path) -> Path:
    """Where a file is, whichever way its folder was written; a link to a file is not the file it leads to."""
    return path.parent.resolve() / path.name
