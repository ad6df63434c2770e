"""Divides the input into blocks, each of which one task reads: rows of a table, lines of JSON, or a shard.

Folders are listed once, into a Parquet file in the output, and that list is then read as a table. So a run that goes on has the
same images as the one that was cut, and memory holds no list of a billion names.
"""

import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ..data.columns import find_column, there_are
from ..data.table import TableError
from ..images.files import ENDINGS
from ..options import quoted
from ..scoring.sources import (
    SHARDS,
    TABLES,
    Item,
    PromptChoice,
    SourceError,
    find_images,
    find_items,
    matches_of,
    require_prompt,
)
from .places import is_remote, joined, opened_at, remote_matches, walk, whole_file_at

BLOCK = 1024  # images
GROUP = 64 * BLOCK  # images of a row group in a list of images: few groups keep the file's index small
LINES = 256 << 10  # bytes of a JSON-lines file that make a block
LISTING = pa.schema([('path', pa.string()), ('prompt', pa.string()), ('source', pa.string())])
LISTED = '_images.parquet'  # readers of data sets skip names that begin so


class UnreadTable(TableError):
    """A table that cannot be read, as it is damaged or cannot be reached."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the input.

    Attributes:
        file: the table or shard.
        kind: its ending, such as '.parquet', or 'listing'.
        name: follows from the file's name, size and time, and from the part. It names the block's output.
        part: of a Parquet file, its row group, the first row in it and the end of the rows; of a JSON-lines file, its first byte
            and the end; of a shard, nothing.
        size: images in a piece of the output. Lines and shards can have several pieces, rows have one.
        rows: how many images there are; None if that shows when they are read.
        done: pieces that are in the output already.
        only: the number of the one image that is meant, of a block whose worker died.
    """

    file: str
    kind: str
    name: str
    part: tuple[int, ...]
    size: int
    rows: int | None = None
    done: tuple[int, ...] = ()
    only: int | None = None

    @property
    def is_shard(self) -> bool:
        """Whether it is a WebDataset's shard."""
        return self.kind in SHARDS


def kind_of(place: str) -> str | None:
    """The ending of a table or a shard; None for anything else."""
    return next((kind for kind in (*TABLES, *SHARDS) if place.lower().endswith(kind)), None)


def blocks_of(
    paths: Iterable[str], choice: PromptChoice, output: str, needs_prompt: bool, is_begun: bool
) -> Iterator[Block]:
    """Yield the blocks of all that is named.

    Args:
        paths: folders, images, patterns, tables and shards; local ones, or addresses.
        choice: where prompts come from.
        output: the folder that the list of images is kept in.
        needs_prompt: whether the metric looks at prompts.
        is_begun: whether an earlier run has made that list.

    Raises:
        SourceError, TableError: for input or prompts that cannot be used.
    """
    containers, others = _sorted_out(paths)
    if containers and choice.table:
        raise SourceError(f'--prompts {choice.table}: {containers[0]} brings its own prompts; leave --prompts out.')
    if others:
        listing = joined(output, LISTED)
        if not is_begun:
            _write_listing(listing, _images_with_prompts(others, choice, needs_prompt))
        yield from _of_parquet(listing, 'listing')
    for file in containers:
        kind = kind_of(file) or ''
        if kind == '.parquet':
            yield from _of_parquet(file, kind)
        elif kind == '.jsonl':
            yield from _of_lines(file)
        else:
            yield Block(file, kind, f'{_name(file, kind)}-{0:08}', (), BLOCK)


def _sorted_out(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """The tables and shards that are named, and the paths of everything else."""
    containers, others = [], []
    for path in paths:
        matches = remote_matches(path) if is_remote(path) else _local_matches(path)
        containers += [match for match in matches if kind_of(match)]
        others += [match for match in matches if not kind_of(match)]
    return list(dict.fromkeys(containers)), others


def _local_matches(path: str) -> list[str]:
    """What a path or pattern names, as absolute paths: workers have another working directory."""
    matches = [path] if os.path.lexists(path) else matches_of(path)
    return [os.path.abspath(match) for match in matches] or [path]  # what does not exist is reported with the images


def _images_with_prompts(paths: list[str], choice: PromptChoice, needs_prompt: bool) -> Iterator[Item]:
    """The images that are no part of a table or shard; prompts that come with them are looked for when they are read."""
    local = [path for path in paths if not is_remote(path)]
    if choice.is_looked_up and needs_prompt and local == paths:
        require_prompt(itertools.islice(find_items(paths, *choice), BLOCK))
    names, again = itertools.tee(_images_at(paths))
    if choice.is_looked_up:
        return map(Item, names, itertools.repeat(None))
    items = find_items(paths, *choice, images=map(Path, again))
    return (item._replace(path=next(names, item.path)) for item in items)  # Path() spoils an address


def _images_at(paths: list[str]) -> Iterator[str]:
    local = [path for path in paths if not is_remote(path)]
    if local:
        yield from map(str, find_images(local))
    remote = [path for path in paths if is_remote(path)]
    found = itertools.chain.from_iterable(map(_remote_images, remote))
    yield from found if len(remote) == 1 else _each_once(found)


def _each_once(places: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for place in places:
        if place not in seen:
            seen.add(place)
            yield place


def _remote_images(place: str) -> Iterator[str]:
    found = iter([place]) if _is_image(place) else filter(_is_image, walk(place))
    first = next(found, None)
    if first is None:
        raise SourceError(f'{place}: there are no images there; check the address.')
    yield from itertools.chain([first], found)


def _is_image(place: str) -> bool:
    return os.path.splitext(place)[1].lower() in ENDINGS


def _write_listing(place: str, items: Iterator[Item]) -> None:
    """Write a Parquet file of the items."""
    with whole_file_at(place) as stream, pq.ParquetWriter(stream, LISTING) as writer:
        while some := list(itertools.islice(items, GROUP)):
            rows = [{'path': str(item.path), 'prompt': item.prompt, 'source': item.source} for item in some]
            writer.write_table(pa.Table.from_pylist(rows, LISTING))


def _of_parquet(file: str, kind: str) -> Iterator[Block]:
    with parquet_file(file) as table:
        names = table.schema_arrow.names
        if find_column(names, 'path') is None:
            raise TableError(f"{file}: column 'path' is missing; {there_are(names, 'path')}.")
        counts = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
    if not sum(counts):
        raise TableError(f'{file}: it has no rows.')
    name, numbers = _name(file, kind), itertools.count()
    for group, count in enumerate(counts):
        for start in range(0, count, BLOCK):
            part = (group, start, min(start + BLOCK, count))
            yield Block(file, kind, f'{name}-{next(numbers):08}', part, BLOCK, rows=part[2] - start)


@contextmanager
def parquet_file(file: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; only a part of it is in memory at a time.

    Raises:
        UnreadTable: for a file that is missing, damaged or cannot be reached.
    """
    system, path = opened_at(file)
    try:
        with system.open_input_file(path) as stream:
            yield pq.ParquetFile(stream, buffer_size=1 << 20)
    except (pa.ArrowException, OSError) as error:
        raise UnreadTable(f'{file}: it cannot be read as Parquet ({quoted(error)}).') from None


def _of_lines(file: str) -> Iterator[Block]:
    size, name = _info(file).size, _name(file, '.jsonl')
    if not size:
        raise TableError(f'{file}: it has no rows.')
    for number, start in enumerate(range(0, size, LINES)):
        yield Block(file, '.jsonl', f'{name}-{number:08}', (start, min(start + LINES, size)), BLOCK)


def _name(file: str, kind: str) -> str:
    """The begin of a block's name; it differs after each change of the file. The list of images in the output never changes."""
    if kind == 'listing':
        return 'images'
    info = _info(file)
    return hashlib.sha256(repr((file, info.size, info.mtime_ns)).encode()).hexdigest()[:16]


def _info(file: str) -> fs.FileInfo:
    system, path = opened_at(file)
    info = system.get_file_info(path)
    if not info.is_file:
        raise SourceError(f'{file}: there is no such file; check its name and folder.')
    return info
