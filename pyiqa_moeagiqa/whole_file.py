"""Files that are there whole or not at all, whatever stops their writing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Within the context write to the path that it gives; only then does that take the place of ``path``.

    Folders are made. Where writing fails, an older file of that name stays and nothing else is left.
    """
    part = path.with_name(f'{path.name}.part{os.getpid()}')
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
