"""Find the prompt that comes with an image: in a file beside it, or in metadata from the software that made it.

It imports only ``images.files`` from the rest of the package, so that both the metric and the commands can use it.
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
    """Find the prompt of an image file, in the first of ``places`` that has one.

    The default order puts sidecars first: a person put them there on purpose, while software writes metadata by itself.

    Raises:
        SidecarError: for a text file beside the image that cannot be read as text, or is longer than a prompt can be.

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
