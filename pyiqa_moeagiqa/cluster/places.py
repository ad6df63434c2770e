"""Files and folders by their path or address, such as s3://bucket/folder; pyarrow reaches them all."""

import fnmatch
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from pyarrow import fs

from ..options import quoted
from ..scoring.sources import SourceError

LARGEST_IMAGE = 1 << 30  # bytes of a file that is read whole


def is_remote(place: str) -> bool:
    """Whether a place is an address, such as s3://bucket/folder or hf://datasets/owner/name, and not a path."""
    return '://' in place


def opened_at(place: str) -> tuple[fs.FileSystem, str]:
    """The file system of a place, and its path there.

    Raises:
        SourceError: for an address that pyarrow does not know.
    """
    if not is_remote(place):
        return fs.LocalFileSystem(), os.path.abspath(place)
    scheme, _, path = place.partition('://')
    return _file_system(scheme, path.partition('/')[0]), path.rstrip('/')


@lru_cache
def _file_system(scheme: str, bucket: str) -> fs.FileSystem:
    try:
        return fs.FileSystem.from_uri(f'{scheme}://{bucket}')[0]
    except (ValueError, OSError, ImportError) as error:
        raise SourceError(
            f'{scheme}://{bucket}: it cannot be opened ({quoted(error)}); name a path, s3://, gs:// or hf://.'
        ) from None


def joined(folder: str, name: str) -> str:
    """A name in a folder; an absolute path or an address stays as it is."""
    if is_remote(name) or not is_remote(folder):
        return name if is_remote(name) else os.path.join(folder, name)
    return f'{folder.rstrip("/")}/{name}'


def folder_of(place: str) -> str:
    """The folder that a file lies in."""
    return place.rpartition('/')[0] if is_remote(place) else os.path.dirname(os.path.abspath(place))


def read_file(place: str) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: for a file that is missing, cannot be read or has more than ``LARGEST_IMAGE`` bytes.
    """
    system, path = opened_at(place)
    with system.open_input_file(path) as file:
        if file.size() > LARGEST_IMAGE:
            raise OSError(f'it has more than {LARGEST_IMAGE >> 20} MiB')
        return file.read()


@contextmanager
def whole_file_at(place: str) -> Iterator[Any]:
    """Give a stream for a file that appears when the context ends without an error.

    What a killed run leaves has a name that begins with a dot, which readers of data sets skip.
    """
    system, path = opened_at(place)
    folder, _, name = path.rpartition('/')
    if not is_remote(place):
        os.makedirs(folder, exist_ok=True)
    part = f'{folder}/.{name}.part'
    with system.open_output_stream(part) as stream:
        yield stream
    system.move(part, path)


def files_in(folder: str) -> dict[str, int]:
    """Name and size of the files in a folder, without its subfolders; empty if there is no such folder."""
    return {info.base_name: info.size for info in _infos(folder) if info.is_file}


def _infos(folder: str) -> list[fs.FileInfo]:
    system, path = opened_at(folder)
    return system.get_file_info(fs.FileSelector(path, allow_not_found=True))


def walk(folder: str) -> Iterator[str]:
    """Yield the addresses of the files in a remote folder and its subfolders, except for hidden ones, sorted by name."""
    for info in sorted(_infos(folder), key=lambda info: info.base_name):
        if not info.base_name.startswith('.'):
            place = joined(folder, info.base_name)
            if info.is_file:
                yield place
            elif info.type == fs.FileType.Directory:
                yield from walk(place)


def remote_matches(place: str) -> list[str]:
    """The files that an address names, or that match it if its last parts are a pattern, as in s3://bucket/part-*.tar.

    Raises:
        SourceError: if there is nothing.
    """
    parts = PurePosixPath(place.partition('://')[2]).parts
    fixed = next((number for number, part in enumerate(parts) if set(part) & set('*?[')), len(parts))
    if fixed == len(parts):
        return [place]
    scheme = place.partition('://')[0]
    below = walk(f'{scheme}://{"/".join(parts[:fixed])}')
    found = [file for file in below if file.count('/') == place.count('/') and fnmatch.fnmatchcase(file, place)]
    if not found:
        raise SourceError(f'{place}: as a pattern it matches nothing; check the address.')
    return found
