"""The prompt that an image brings: in a file beside it, or in the metadata that the software that made it wrote.

Imports nothing of this package but how image files are opened, so that the metric and the commands may both ask here.
"""

from pathlib import Path
from typing import NamedTuple

from .metadata import metadata_prompt, prompt_candidates, prompt_in_image
from .sidecars import SidecarError, sidecar_prompt

__all__ = [
    'Found',
    'SidecarError',
    'find_prompt',
    'metadata_prompt',
    'prompt_candidates',
    'prompt_in_image',
    'sidecar_prompt',
]


class Found(NamedTuple):
    """A prompt and where it is from, such as 'sidecars' or 'PNG metadata of ComfyUI'."""

    prompt: str
    source: str


def find_prompt(path: Path | str, places: tuple[str, ...] = ('sidecar', 'metadata')) -> Found | None:
    """The prompt of an image file: from the first of ``places`` that has one.

    What lies beside an image was put there on purpose; metadata come of themselves, so they are asked last.

    Raises:
        SidecarError: for a text file beside the image that is no text.

    Example:
        >>> find_prompt('cat.png')
        Found(prompt='a cat in the snow', source='PNG metadata of ComfyUI')
    """
    for place in places:
        if place == 'sidecar' and (prompt := sidecar_prompt(Path(path))):
            return Found(prompt, 'sidecars')
        if place == 'metadata' and (found := metadata_prompt(path)):
            return Found(*found)
    return None
