"""Finds what to score: image files from paths, folders and globs, each with its prompt."""

import glob
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..data.table import TableError
from ..images.files import ENDINGS
from ..prompts import SidecarError, find_prompt
from .prompt_tables import FOLDER_TABLES, FolderTables, PromptTable

# Folders of copies and thumbnails that operating systems and file servers add to image folders.
JUNK = frozenset(('__MACOSX', '@eaDir', '$RECYCLE.BIN'))
TABLES, SHARDS = ('.parquet', '.jsonl'), ('.tar', '.tar.gz', '.tgz')  # of images: a cluster takes them as paths

# Places of a prompt, in the order of the search. A table and a text file were put there on purpose, so they come before the
# metadata that software leaves in a file.
PLACES = {
    'folder-table': f'{" or ".join(FOLDER_TABLES[:2])} of its folder',
    'sidecar': 'a text file beside it',
    'metadata': 'its metadata',
}


class SourceError(ValueError):
    """Paths or prompts that cannot be used; the message is one sentence."""


class Item(NamedTuple):
    """An image file and its prompt; the prompt is None if none is known.

    An image that is not a file has a name as its path, and ``image`` holds it, in a form that ``read_image`` takes, or the
    exception that came in its place. ``source`` says where the prompt was found, such as 'sidecars', or why there is none.
    """

    path: Path | str
    prompt: str | None
    image: Any = None
    source: str = ''


class PromptChoice(NamedTuple):
    """Where a user wants prompts to come from; for the fields, see the arguments of ``find_items(paths, *choice)``."""

    prompt: str | None = None
    table: Path | None = None
    prompt_from: str | None = 'auto'

    @property
    def is_looked_up(self) -> bool:
        """Whether each image's prompt has to be looked for."""
        return self.prompt is None and self.table is None


def find_images(paths: Sequence[str | Path]) -> Iterator[Path]:
    """Yield the image files named by files, folders (with their subfolders) and globs: each once, in the order given.

    Folders are walked lazily, so that no list of a hundred thousand images is made. Hidden files and folders, and those in
    ``JUNK``, are left out unless a path names them.

    Raises:
        SourceError: for a path that does not exist, a folder without images, or a table as the only path.
    """
    if len(paths) == 1 and str(paths[0]).lower().endswith(('.csv', *TABLES, *SHARDS)) and os.path.isfile(paths[0]):
        raise SourceError(
            f'{paths[0]}: this is no image; name the images, and a table of their prompts as --prompts. '
            'Tables (.jsonl, .parquet) and shards (.tar) are scored whole by moeagiqa score --ray local --output FOLDER.'
        )
    seen: set[str] = set()
    for name in map(str, paths):
        if not name:
            raise SourceError('A path is empty; name images or folders, such as . for this one.')
        matches = [Path(name)] if os.path.lexists(name) else matches_of(name)
        if not matches:
            raise SourceError(f'{name}: there is no such file or folder, and as a pattern it matches nothing.')
        images = itertools.chain.from_iterable(map(_images_at, matches))
        first = next(images, None)
        if first is None:
            raise SourceError(f'{name}: there are no images in this folder (hidden ones do not count).')
        images = itertools.chain([first], images)
        yield from images if len(paths) == len(matches) == 1 else _unseen(images, seen)


def matches_of(pattern: str) -> list[Path]:
    """The files and folders that a pattern matches.

    Brackets are taken literally in the name of an existing folder, and if they match nothing as a pattern.
    """
    *folders, last = Path(pattern).parts or ('',)
    there = Path()
    while folders and os.path.lexists(there / folders[0]):
        there /= folders.pop(0)
    rest = os.path.join(*folders, last)
    found: list[str] = []
    for wanted in (rest, rest.replace('[', '[[]')):
        found = found or glob.glob(os.path.join(glob.escape(str(there)), wanted), recursive=True)
    named = set(Path(pattern).parts)
    return sorted(path for path in map(Path, found) if not JUNK & (set(path.parts) - named))


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
        yield path  # a folder that cannot be listed becomes an item, so that it is reported
        return
    for entry in entries:
        if entry.name.startswith('.') or entry.name in JUNK:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _images_at(Path(entry.path))
        elif os.path.splitext(entry.name)[1].lower() in ENDINGS and entry.is_file():
            yield Path(entry.path)


def find_items(
    paths: Sequence[str | Path],
    prompt: str | None = None,
    table: Path | str | None = None,
    prompt_from: str | None = 'auto',
    images: Iterable[Path] | None = None,
) -> Iterator[Item]:
    """Find images as ``find_images`` does, each with its prompt; prompts are looked up lazily, item by item.

    Args:
        paths: what to score.
        prompt: one for all images.
        table: a table of ``path`` and ``prompt``. Its paths are relative to it, to a folder that is scored, or to the folder
            of a scored file. If a folder is scored, rows whose image is not found are items too, so that they are reported.
        prompt_from: where to look for each image's prompt if neither ``prompt`` nor ``table`` is given: one of ``PLACES``,
            or 'auto' for the first place that has one. With None, no prompt is looked for and no file is opened.
        images: what ``find_images`` finds at ``paths``, if that is known.

    Raises:
        SourceError, TableError: for paths, prompts or a table that cannot be used, or if ``prompt`` and ``table`` are given.
    """
    if prompt is not None and table is not None:
        raise SourceError('Prompts come from one place: give either --prompt TEXT for all images or --prompts FILE.')
    if prompt_from not in ('auto', None, *PLACES):
        raise SourceError(f'--prompt-from {prompt_from}: it must be one of auto, {", ".join(PLACES)}.')
    if prompt_from in PLACES and (prompt, table) != (None, None):
        raise SourceError(
            f'--prompt-from {prompt_from} was given with --prompt or --prompts: prompts come from one place; leave one out.'
        )
    images = find_images(paths) if images is None else images
    if table is not None:
        return _with_table(images, paths, table)
    if prompt is not None or prompt_from is None:
        return (Item(path, prompt) for path in images)
    return looked_up(images, FolderTables(_folders_of(paths)), places_of(prompt_from))


def places_of(prompt_from: str) -> tuple[str, ...]:
    """The places of ``PLACES`` that ``--prompt-from`` means, in the order of the search."""
    return tuple(PLACES) if prompt_from == 'auto' else (prompt_from,)


def _folders_of(paths: Sequence[str | Path]) -> list[Path]:
    return [Path(path) if Path(path).is_dir() else Path(path).parent for path in paths]


def _with_table(images: Iterable[Path], paths: Sequence[str | Path], table: Path | str) -> Iterator[Item]:
    prompts = PromptTable(table, _folders_of(paths))
    no_row = f'there is no prompt for it in {table}'
    found = ((path, prompts.prompt_of(path)) for path in images)
    items = (Item(path, prompt, source=no_row if prompt is None else str(table)) for path, prompt in found)
    folders = [Path(path) for path in paths if Path(path).is_dir()]
    return itertools.chain(items, itertools.starmap(Item, prompts.rows_without_image(folders) if folders else []))


def looked_up(images: Iterable[Path], tables: FolderTables, places: tuple[str, ...]) -> Iterator[Item]:
    """Yield each image with its prompt from the first of ``places`` that has one."""
    nowhere = f'there is no prompt for it: {", ".join(f"not in {PLACES[place]}" for place in places)}'
    for path in images:
        try:
            found = tables.find(path) if 'folder-table' in places else None
            found = found or find_prompt(path, places)
        except (
            TableError,
            SidecarError,
        ) as error:  # use no other prompt in place of an unusable one: the user gave it on purpose
            yield Item(path, None, source=str(error))
        else:
            prompt, source = found or (None, nowhere)
            yield Item(path, prompt, source=source)


def require_prompt(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, if at least one of them has a prompt; those up to the first one with a prompt are read at once.

    Raises:
        SourceError: if none has.
    """
    items, passed = iter(items), []
    for item in items:
        passed.append(item)
        if item.prompt is not None:
            return itertools.chain(passed, items)
    why = f' ({passed[0].path}: {passed[0].source})' if passed else ''
    raise SourceError(
        'Prompts are needed: give either --prompt TEXT for all images or --prompts FILE, or put a text file beside each '
        f'image{why}.'
    )


def tallied(items: Iterable[Item], tally: Counter[str]) -> Iterator[Item]:
    """Yield the items; ``tally`` counts the sources of their prompts, with '' for items without one."""
    for item in items:
        tally[item.source if item.prompt is not None else ''] += 1
        yield item


def sources_line(tally: Counter[str]) -> str:
    """A tally in words, such as 'prompts: 12 from sidecars, 3 from PNG metadata of ComfyUI; 1 image has none'."""
    found = [f'{count} from {source}' for source, count in tally.most_common() if source]
    missing = tally['']
    none = [f'{missing} {"image has" if missing == 1 else "images have"} none'] if missing else []
    return f'prompts: {"; ".join([", ".join(found)] * bool(found) + none)}'
