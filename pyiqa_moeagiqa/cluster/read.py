"""Reads a block's images and prompts, as a task of the cluster does, with the functions that local scoring uses."""

import io
import json
import os
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ..data.columns import find_column
from ..images.files import ENDINGS
from ..images.read import read_images
from ..images.room import Room
from ..options import quoted
from ..prompts import metadata_prompt
from ..prompts.sidecars import sidecars_of
from ..scoring.ahead import THREADS, read_ahead
from ..scoring.dataset_rows import ID_KEYS
from ..scoring.inputs import items_of
from ..scoring.prompt_tables import FOLDER_TABLES, FolderTables
from ..scoring.result import Result
from ..scoring.run import Reader, Seen
from ..scoring.sources import Item, SourceError, looked_up
from .blocks import Block, UnreadTable, parquet_file
from .places import LARGEST_IMAGE, files_in, folder_of, is_remote, joined, opened_at, read_file

IMAGES_AT_ONCE, PATHS_AT_ONCE = 16, 1024  # rows of a Parquet file
PROMPT_PARTS = ('txt', 'json', 'prompt.txt', 'caption.txt')  # of a shard's sample
NOWHERE = 'there is no prompt for it: none came with it'


class Part(NamedTuple):
    """An image of a piece that was read; ``seen`` is None for the piece's end, whose ``place`` is the number of its images."""

    piece: int
    place: int
    seen: Result | Seen | None


@dataclass(frozen=True)
class Asked:
    """What the tasks need to know of a job.

    Attributes:
        folders: that are scored; tables of prompts in them count.
        prompt: one for all images.
        places: where a prompt is looked for, of ``scoring.sources.PLACES``; none if prompts are given.
        needs_prompt: whether the metric looks at prompts.
        reads_images: whether it reads images by ``images.read.read_images``.
    """

    folders: tuple[str, ...]
    prompt: str | None
    places: tuple[str, ...]
    needs_prompt: bool
    reads_images: bool


def read(block: Block, asked: Asked) -> Iterator[Part]:
    """Yield a block's images in order, and the end of each of its pieces; pieces that are done are left out."""
    reader = Reader(asked.needs_prompt, read_images if asked.reads_images else None, with_content=True)
    count = 0

    def wanted() -> Iterator[tuple[int, Item]]:
        nonlocal count
        for number, item in enumerate(items_in(block, asked.prompt)):
            count = number + 1
            if number // block.size not in block.done and block.only in (None, number):
                yield number, item
            if number == block.only:
                return

    with tempfile.TemporaryDirectory() as folder:
        source = _Source(asked, Path(folder))

        def read_one(numbered: tuple[int, Item]) -> Result | Seen:
            return reader.read(source.completed(numbered[1]))

        for (number, _), future in read_ahead(read_one, wanted(), 2 * THREADS, Room()):
            piece, place = divmod(number, block.size)
            yield Part(piece, place, future.result())
            if place + 1 == block.size and block.only is None:
                yield Part(piece, block.size, None)
    piece, place = divmod(count, block.size)
    if block.only is None and (place or block.rows is None):
        yield Part(piece, place, None)


def items_in(block: Block, prompt: str | None) -> Iterator[Item]:
    """Yield a block's images with their prompts, where they come with them; files are not opened yet.

    Args:
        block: to read.
        prompt: one for all images.

    Raises:
        OSError: for a file elsewhere that cannot be read on: it may be there again when the block is tried again.
    """
    if block.kind == 'listing':
        for row in _parquet_rows(block):
            yield Item(row['path'], row['prompt'], source=row['source'])
        return
    kinds: dict[str, Callable[[Block], Iterator[Any]]] = {'.parquet': _parquet_rows, '.jsonl': _json_rows}
    rows = kinds.get(block.kind, _samples)(block)
    number = 0
    try:
        for number, row in enumerate(rows, 1):
            yield _item(row, f'{block.file}/{block.name[-8:]}-{number - 1}', block, prompt)
    except Exception as error:  # a damaged file can raise anything; what was read before is still scored
        if is_remote(block.file) and isinstance(error, OSError | UnreadTable):
            raise OSError(str(error)) from None
        yield Item(f'{block.file} after {number} images', '', SourceError(f'it cannot be read on ({quoted(error)})'))


def _item(row: Mapping[str, Any] | Exception, name: str, block: Block, prompt: str | None) -> Item:
    """A row's image; a path in it is relative to the folder of the table."""
    if isinstance(row, Exception):
        return Item(name, '', row)
    if block.is_shard:
        return next(items_of(iter([row]), prompt))
    image, text = row[find_column(row, 'path')], row.get(find_column(row, 'prompt'))
    own = next((row[key] for key in ID_KEYS if row.get(key) is not None), None)
    if isinstance(image, Mapping):
        own = own if own is not None else image.get('path')
        image = image.get('bytes') or image.get('path')
    name = name if own is None else f'{block.file}/{own}'
    item = next(items_of(iter([{'image': image, 'prompt': text, 'id': name}]), prompt))
    return item._replace(path=joined(folder_of(block.file), image)) if isinstance(image, str) else item


def _parquet_rows(block: Block) -> Iterator[dict[str, Any]]:
    group, start, stop = block.part
    with parquet_file(block.file) as table:
        names = table.schema_arrow.names
        image = find_column(names, 'path')
        at_once = PATHS_AT_ONCE if pa.types.is_string(table.schema_arrow.field(image).type) else IMAGES_AT_ONCE
        wanted = {image, find_column(names, 'prompt'), 'source', *ID_KEYS} & set(names)
        passed = 0
        for batch in table.iter_batches(at_once, [group], sorted(wanted), use_threads=False):
            if passed + len(batch) > start:
                yield from batch.slice(max(start - passed, 0), stop - max(start, passed)).to_pylist()
            passed += len(batch)
            if passed >= stop:
                return


def _json_rows(block: Block) -> Iterator[dict[str, Any] | Exception]:
    """The objects in the lines that begin within the block."""
    start, stop = block.part
    system, path = opened_at(block.file)
    with system.open_input_file(path) as file:
        file.seek(max(start - 1, 0))
        with io.BufferedReader(_Raw(file), 1 << 16) as lines:
            place = start - 1 + len(lines.readline()) if start else 0  # the rest of a line that begins before
            while place < stop and (line := lines.readline()):
                if line.strip():
                    yield _parsed(line, place)
                place += len(line)


class _Raw(io.RawIOBase):
    """pyarrow's file as Python's buffered reader wants it: pyarrow's own reads lines byte by byte."""

    def __init__(self, file: Any):
        self.file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _parsed(line: bytes, place: int) -> dict[str, Any] | Exception:
    try:
        row = json.loads(line.decode('utf-8-sig'))
    except (ValueError, RecursionError) as error:
        return SourceError(f'the line at byte {place} is no JSON ({quoted(error)})')
    if not isinstance(row, dict) or find_column(row, 'path') is None:
        return SourceError(f'the line at byte {place} is no object with a path')
    return row


def _samples(block: Block) -> Iterator[dict[str, Any]]:
    """The samples of a WebDataset's shard: files that share the name before its first dot."""
    system, path = opened_at(block.file)
    sample: dict[str, Any] = {}
    with system.open_input_stream(path, compression=None) as stream, tarfile.open(fileobj=stream, mode='r|*') as shard:
        for member in shard:
            folder, _, name = member.name.rpartition('/')
            key, _, ending = name.partition('.')
            key = f'{block.file}/{f"{folder}/" if folder else ""}{key}'
            if not member.isfile() or (f'.{ending.lower()}' not in ENDINGS and ending not in PROMPT_PARTS):
                continue
            if sample and sample['__key__'] != key:
                yield _with_prompt(sample)
                sample = {}
            sample['__key__'] = key
            sample[ending.lower()] = _bytes_of(shard, member)
    if sample:
        yield _with_prompt(sample)


def _bytes_of(shard: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | Exception:
    if member.size > LARGEST_IMAGE:
        return SourceError(f'it has more than {LARGEST_IMAGE >> 20} MiB')
    file = shard.extractfile(member)
    return file.read() if file else b''


def _with_prompt(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample that brings no prompt has None, so that its image's metadata is looked at."""
    return sample if any(part in sample for part in PROMPT_PARTS) else sample | {'prompt': None}


@lru_cache(maxsize=1)
def _tables(folders: tuple[str, ...]) -> FolderTables:
    """The tables of prompts in the folders, which a process reads once."""
    return FolderTables(map(Path, folders))


@lru_cache(maxsize=8)
def _names_in(folder: str) -> frozenset[str]:
    return frozenset(files_in(folder))


class _Source:
    """Gets images that lie elsewhere, and looks for the prompts of those that came without.

    Args:
        asked: where to look.
        folder: for copies of remote files, so that one way of looking serves all; emptied by the caller.
    """

    def __init__(self, asked: Asked, folder: Path):
        self.asked, self.folder, self.copying = asked, folder, threading.Lock()
        self.tables = FolderTables(self._copy_of(place) for place in asked.folders if is_remote(place))

    def completed(self, item: Item) -> Item:
        """The item with its prompt, and with its bytes if its file is remote; never raises."""
        try:
            if item.image is None and is_remote(str(item.path)):
                return self._fetched(item)
            return item if item.prompt is not None else self._looked_up(item)
        except Exception as error:  # file systems raise all kinds
            return Item(item.path, item.prompt or '', SourceError(f'it cannot be read ({quoted(error)})'))

    def _looked_up(self, item: Item) -> Item:
        if not self.asked.places or isinstance(item.image, Exception):
            return item
        if item.image is None:
            found = next(looked_up([Path(item.path)], _tables(self.asked.folders), self.asked.places))
            return found._replace(path=item.path)
        is_in = 'metadata' in self.asked.places and isinstance(item.image, bytes)
        prompt = metadata_prompt(io.BytesIO(item.image)) if is_in else None
        return item._replace(prompt=prompt and prompt[0], source=NOWHERE)

    def _fetched(self, item: Item) -> Item:
        item = item._replace(image=read_file(str(item.path)))
        if item.prompt is not None or not self.asked.places:
            return item
        with self.copying:  # two images can have one text file or table, and no thread may see half of it
            copy = self._copied(str(item.path), item.image)
            found = next(looked_up([copy], self.tables, self.asked.places))
            for path in (copy, *sidecars_of(copy)):
                path.unlink(missing_ok=True)
        return item._replace(prompt=found.prompt, source=found.source.replace(f'{self.folder}/', ''))

    def _copied(self, address: str, data: bytes) -> Path:
        """Write a remote image to a local folder, with the files that can hold its prompt."""
        copy = self._copy_of(address)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(data)
        there = _names_in(folder_of(address))
        for path in sidecars_of(copy):
            if path.name in there:
                path.write_bytes(read_file(joined(folder_of(address), path.name)))
        for above in (address, *self.asked.folders) if 'folder-table' in self.asked.places else ():
            self._copy_tables(folder_of(address) if above == address else above)
        return copy

    def _copy_tables(self, folder: str) -> None:
        for name in FOLDER_TABLES:
            copy = self._copy_of(folder) / name
            if is_remote(folder) and name in _names_in(folder) and not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(read_file(joined(folder, name)))

    def _copy_of(self, address: str) -> Path:
        path = address.partition('://')[2]
        if '..' in path.split('/'):
            raise SourceError('its address leads out of its folder')
        return self.folder / path.lstrip('/')


def folders_of(paths: tuple[str, ...]) -> tuple[str, ...]:
    """The folders that are scored, or in which what is scored lies."""
    local = [path for path in paths if not is_remote(path)]
    remote = [path if os.path.splitext(path)[1] == '' else folder_of(path) for path in paths if is_remote(path)]
    return (*(os.path.abspath(path if os.path.isdir(path) else os.path.dirname(path)) for path in local), *remote)
