"""What is to be scored: image files from paths, folders and globs, each with its prompt."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..data.table import read_table, require

IMAGE_ENDINGS = frozenset(['.avif', '.bmp', '.gif', '.jfif', '.jpeg', '.jpg', '.jp2', '.pbm', '.pgm', '.png', '.ppm', '.tga', '.tif', '.tiff', '.webp'])


class SourceError(ValueError):
    """Paths or prompts that cannot be used, said in one sentence."""


class Item(NamedTuple):
    """An image file and its prompt; None where no prompt is known for it."""

    path: Path
    prompt: str | None


def find_images(paths: Sequence[str | Path]) -> list[Path]:
    """Image files named by files, folders (searched through) and globs: each once, in the order given.

    Raises:
        SourceError: for a path where there is nothing, or a folder without images.
    """
    found: list[Path] = []
    for name in map(str, paths):
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.rglob('*') if p.suffix.lower() in IMAGE_ENDINGS and p.is_file())
            if not inside:
                raise SourceError(f'{name}: there are no images in this folder.')
            found += inside
        elif path.exists():
            found.append(path)
        else:
            matches = sorted(Path(p) for p in glob.glob(name, recursive=True) if Path(p).is_file())
            if not matches:
                raise SourceError(f'{name}: there is no such file or folder, and as a pattern it matches nothing.')
            found += matches
    return list(dict.fromkeys(found))


def with_prompts(
    images: Sequence[Path], paths: Sequence[str | Path], prompt: str | None, table: Path | str | None
) -> list[Item]:
    """Give each image its prompt: one for all, or from a table with columns ``path`` and ``prompt``.

    A table's paths are relative to the table, or to one of the folders among ``paths``.

    Raises:
        SourceError, TableError: for neither or both kinds of prompts, or a table that cannot be used.
    """
    if (prompt is None) == (table is None):
        raise SourceError('Prompts are needed: give either --prompt TEXT for all images or --prompts FILE.')
    if table is None:
        return [Item(path, prompt) for path in images]
    prompts = read_prompts(table, [Path(path) for path in paths if Path(path).is_dir()])
    return [Item(path, prompts.get(path.resolve())) for path in images]


def read_prompts(table: Path | str, folders: Sequence[Path]) -> dict[Path, str]:
    """Absolute image path -> prompt, from a table whose paths are relative to it or to one of ``folders``."""
    rows = read_table(table, ['path', 'prompt'])
    require(table, rows, rows['path'].map(lambda path: isinstance(path, str)), 'the path is no text', 'path')
    require(table, rows, rows['prompt'].map(lambda prompt: isinstance(prompt, str)), 'the prompt is no text', 'prompt')
    prompts: dict[Path, str] = {}
    for place in (Path(table).parent, *folders):
        for path, prompt in zip(rows['path'], rows['prompt'], strict=True):
            prompts.setdefault((place / path).resolve(), prompt)
    twice = rows['path'].map(lambda path: str(Path(path))).duplicated(keep=False)
    clash = twice & rows.groupby('path')['prompt'].transform('nunique').gt(1)
    require(table, rows, ~clash, 'the same path has different prompts', 'path')
    return prompts
