"""Tells whether images that are compared differ in size: a score also depends on an image's size."""

from collections.abc import Iterable
from pathlib import Path

from ..images.files import ImageError, opened

SIMILAR = 1.1  # ratio of pixels up to which sizes count as equal, such as 1024 x 1024 and 832 x 1216
# Measured with the embedded checkpoint on AGIQA-3K's pictures, enlarged by bicubic interpolation.
MEASURED = {'moeagiqa': 'scores fall by about .15 when a 512 px picture is enlarged to 1024'}
OTHERWISE = "a metric's scores may depend on the size alone"

Size = tuple[int, int]


def size_note(groups: Iterable[Iterable[Path | str]], metric: str) -> str | None:
    """A sentence for the user if images of one group differ in size; None if none do.

    Args:
        groups: images that are compared with each other, such as those of one prompt. Only their headers are read; files
            that are not images are skipped.
        metric: the name of the metric that scores them.
    """
    ranges = [(sizes[0], sizes[-1]) for group in groups if (sizes := _sizes(group))]
    differing = [(small, large) for small, large in ranges if _pixels(large) > SIMILAR * _pixels(small)]
    if not differing:
        return None
    smallest = min((small for small, _ in differing), key=_pixels)
    largest = max((large for _, large in differing), key=_pixels)
    why = MEASURED.get(metric, OTHERWISE)
    return (
        f'The images differ in size ({_said(smallest)} to {_said(largest)} pixels): {why}, so compare like with like.'
    )


def _sizes(images: Iterable[Path | str]) -> list[Size]:
    """The images' widths and heights, the fewest pixels first."""
    return sorted((size for image in images if (size := _size(image))), key=lambda size: (_pixels(size), size))


def _size(image: Path | str) -> Size | None:
    try:
        with opened(image, str(image)) as picture:
            return picture.size
    except ImageError:
        return None


def _pixels(size: Size) -> int:
    return size[0] * size[1]


def _said(size: Size) -> str:
    return f'{size[0]} x {size[1]}'
