"""HTML pages of one file each: no network access, light and dark, sortable tables.

``base.html`` holds the style and the sorting; each page is a template that extends it.
"""

import base64
import io
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from torchvision.transforms.v2.functional import to_dtype, to_pil_image

from ..console import plain
from ..images.files import ImageError
from ..images.read import read_image, shrunk
from ..whole_file import whole_file

LONGEST_SIDE = 256  # pixels of a picture on a page


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader(__name__, ''),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    """Show control characters in names and prompts as escapes, so that they have no effect on the page."""
    return plain(value) if type(value) is str else value  # finished markup is a subclass of str and stays as it is


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fill a template as ``filled`` does, and write the page as a whole file."""
    text = filled(template, **values)
    with whole_file(path) as part:
        part.write_text(text, encoding='utf-8')


def filled(template: str, **values: Any) -> str:
    """Fill a template of this folder, such as ``leaderboard.html``; all values are escaped."""
    return _templates().get_template(template).render(**values)


def thumbnail(image: Path | str) -> str:
    """Return an image file as a ``data:`` address of a small JPEG, upright and with transparent parts on white, as scored.

    Returns '' for a file that cannot be read, such as one that was damaged or moved after it was scored.
    """
    try:
        pixels = read_image(image)
    except ImageError:
        return ''
    pixels = shrunk(to_dtype(pixels, torch.uint8, scale=True), LONGEST_SIDE)
    file = io.BytesIO()
    to_pil_image(pixels).save(file, 'JPEG', quality=85)
    return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()


def png(figure: Any) -> str:
    """Return a matplotlib figure as a ``data:`` address of a PNG, for figures that show a picture."""
    file = io.BytesIO()
    figure.savefig(file, format='png')
    return 'data:image/png;base64,' + base64.b64encode(file.getvalue()).decode()


def svg(figure: Any) -> str:
    """Return a matplotlib figure as a ``data:`` address of an SVG."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Glyph', UserWarning)  # the font lacks Chinese and emoji, and draws boxes
        figure.savefig(file, format='svg', bbox_inches='tight', transparent=True, metadata={'Date': None})
    return 'data:image/svg+xml;base64,' + base64.b64encode(file.getvalue()).decode()
