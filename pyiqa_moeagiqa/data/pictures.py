"""Decode the image files of a data set in several threads: find damaged ones, and describe the others."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from tqdm import tqdm

from ..images.files import opened
from ..images.read import ImageError, read_image
from ..images.room import Room

THREADS = 4
Answer = TypeVar('Answer')


class Picture(NamedTuple):
    """The contents of one image file: ``kind`` is format and mode, such as 'JPEG RGB', ``content`` a hash of the pixels."""

    width: int
    height: int
    kind: str
    content: bytes


def problem_of(path: Path | str) -> str | None:
    """Return why an image cannot be decoded as a whole, or None if it can."""
    try:
        read_image(path)
    except ImageError as error:
        return str(error)
    return None


def look_at(path: Path | str) -> Picture | str:
    """Describe an image file, or return why it cannot be decoded as a whole."""
    try:
        pixels = read_image(path).contiguous()
        with opened(path, str(path)) as image:
            kind = f'{image.format} {image.mode}'
    except ImageError as error:
        return str(error)
    height, width = pixels.shape[-2:]
    content = hashlib.blake2b(f'{width} x {height}'.encode() + pixels.numpy().tobytes(), digest_size=16)
    return Picture(width, height, kind, content.digest())


def for_each(paths: Sequence[Path | str], ask: Callable[[Path | str], Answer]) -> list[Answer]:
    """Call ``ask`` on all paths, return the answers in their order; show progress if standard error is a terminal."""
    room = Room()

    def asked(place: int, path: Path | str) -> Answer:
        try:
            with room.reading(place):
                return ask(path)
        finally:
            room.leave(place)

    with ThreadPoolExecutor(THREADS) as pool:
        answers = pool.map(asked, range(len(paths)), paths)
        return list(tqdm(answers, total=len(paths), unit='image', disable=None))
