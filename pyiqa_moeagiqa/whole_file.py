"""Writes files completely or not at all, even if writing is interrupted."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; when the context ends without an error, that file replaces ``path``.

    Missing folders are made. If writing fails, an older file at ``path`` stays and the temporary file is removed.

    Raises:
        OSError: naming ``path``, if it cannot be written, or is a folder, a pipe or a device.
    """
    part = path.with_name(f'{path.name}.part{os.getpid()}')
    try:
        _require_ordinary(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:  # the caller does not know the temporary file
        if error.filename is not None and os.fspath(error.filename) == os.fspath(part):
            error.filename, error.filename2 = os.fspath(path), None
        raise
    finally:
        with suppress(OSError):  # fails if the folder could not be made
            part.unlink(missing_ok=True)


def require_place(path: Path) -> None:
    """Raise an OSError, as ``whole_file`` does, if ``path`` cannot be written. Call it before hours of work."""
    _require_ordinary(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    probe = path.with_name(f'{path.name}.part{os.getpid()}')
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def _require_ordinary(path: Path) -> None:
    if path.exists() and not path.is_file():
        kind = 'a folder' if path.is_dir() else 'a pipe or a device'
        raise OSError(errno.EINVAL, f'is {kind}, not a file', os.fspath(path))
