"""HTML pages that are one file: no network, light and dark, tables that sort.

``base.html`` holds the style and the sorting; each page is a template that extends it.
"""

import base64
import io
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from torchvision.transforms.v2.functional import to_dtype, to_pil_image

from ..archs.images import read_image, shrunk
from ..image_files import ImageError
from ..whole_file import whole_file

LONGEST_SIDE = 256  # pixels of a picture on a page
# in the place of a picture that cannot be read: it does not cost the page
UNREADABLE = 'data:image/svg+xml,' + quote(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256"><rect width="256" height="256" fill="#999"/>'
    '<text x="128" y="134" font-size="18" text-anchor="middle">cannot be read</text></svg>'
)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader(__name__, ''),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fill a template of this folder, such as ``leaderboard.html``, and write it whole; all values are escaped."""
    text = _templates().get_template(template).render(**values)
    with whole_file(path) as part:
        part.write_text(text, encoding='utf-8')


def thumbnail(image: Path | str) -> str:
    """An image file as a ``data:`` address of a small JPEG, as it is scored: upright, on white where it is transparent.

    One that cannot be read, though scores of it may be known, has ``UNREADABLE`` in its place.
    """
    try:
        pixels = shrunk(to_dtype(read_image(image), torch.uint8, scale=True), LONGEST_SIDE)
    except ImageError:
        return UNREADABLE
    file = io.BytesIO()
    to_pil_image(pixels).save(file, 'JPEG', quality=85)
    return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()


def svg(figure: Any) -> str:
    """A matplotlib figure as a ``data:`` address of an SVG."""
    file = io.BytesIO()
    figure.savefig(file, format='svg', bbox_inches='tight', transparent=True, metadata={'Date': None})
    return 'data:image/svg+xml;base64,' + base64.b64encode(file.getvalue()).decode()
