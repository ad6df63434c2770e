"""Files that are there whole or not at all, whatever stops their writing."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Within the context write to the path that it gives; only then does that take the place of ``path``.

    Folders are made. Where writing fails, an older file of that name stays and nothing else is left.

    Raises:
        OSError: naming ``path`` for a place that cannot be written, and for a folder, a pipe or a device.
    """
    part = path.with_name(f'{path.name}.part{os.getpid()}')
    try:
        _require_ordinary(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:  # whoever called knows nothing of the part
        if error.filename is not None and os.fspath(error.filename) == os.fspath(part):
            error.filename, error.filename2 = os.fspath(path), None
        raise
    finally:
        with suppress(OSError):  # it is not there where its folder could not be made
            part.unlink(missing_ok=True)


def require_place(path: Path) -> None:
    """Raise an OSError, as ``whole_file`` does, where it could not write: to be asked before hours of work."""
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
