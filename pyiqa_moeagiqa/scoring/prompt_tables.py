"""Tables of prompts: one that the user names, or ``metadata`` files in image folders, as Hugging Face's data sets have."""

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from ..data.columns import find_column
from ..data.table import Check, TableError, is_text, read_table, require, with_slashes

COLUMNS = ('path', 'prompt')
FOLDER_TABLES = ('metadata.jsonl', 'metadata.csv', 'metadata.parquet')


class PromptTable:
    """The prompts of a table whose paths are relative to it, to one of some folders, or to the working directory.

    Args:
        table: a file for ``read_table``, with columns ``path`` and ``prompt`` or other names that ``data.columns`` knows.
        folders: folders that its paths can be relative to, in addition to its own folder and the working directory.

    Raises:
        TableError: for a table that cannot be used, such as one with two prompts for one path.
    """

    def __init__(self, table: Path | str, folders: Iterable[Path] = ()):
        self.folder = Path(table).parent
        self._folders = {folder.resolve() for folder in (*folders, Path())}
        rows = read_table(table, COLUMNS)
        named = [isinstance(path, str) and path != '' for path in rows['path']]
        require(
            table,
            rows,
            Check(named, 'there is no path', 'path'),
            Check(is_text(rows['prompt']), 'the prompt is not text', 'prompt'),
        )
        names = rows['path'].map(self._name)
        prompts = rows['prompt'].groupby(names).transform('nunique')
        require(table, rows, Check(prompts == 1, 'the same path has different prompts', 'path'))
        self._by_name = dict(zip(names, rows['prompt'], strict=True))
        self._by_place = {place_of(self.folder / name): prompt for name, prompt in self._by_name.items()}

    def _name(self, path: str) -> str:
        """Normalise a path for look-up; one with backslashes counts as a Windows path unless such a file exists."""
        is_theirs = '\\' in path and not os.path.lexists(self.folder / path)
        return os.path.normpath(with_slashes(path) if is_theirs else path)

    def prompt_of(self, image: Path) -> str | None:
        """The image's prompt: found by its path relative to the table, or else relative to the nearest of the folders."""
        place = place_of(image)
        if place in self._by_place:
            return self._by_place[place]
        names = (str(place.relative_to(above)) for above in place.parents if above in self._folders)
        return next((self._by_name[name] for name in names if name in self._by_name), None)

    def rows_without_image(self, folders: Sequence[Path]) -> list[tuple[Path, str]]:
        """Path and prompt of rows whose image is not found from the table's folder, ``folders`` or the working directory."""
        missing = []
        for name, prompt in self._by_name.items():
            places = [self.folder / name, *(folder / name for folder in folders), Path(name)]
            if not any(place.exists() for place in places):
                likely = next((place for place in places if place.parent.is_dir()), places[0])
                missing.append((likely, prompt))
        return missing


class FolderTables:
    """The tables of prompts in an image's folder, or in a folder above it, up to the topmost folder that is scored.

    Args:
        folders: the folders that are scored; the search upwards ends at the topmost of them.
    """

    def __init__(self, folders: Iterable[Path]):
        self._folders = {folder.resolve() for folder in folders}
        self._tables = lru_cache(maxsize=1000)(_tables_in)  # reads each folder's tables once

    def find(self, image: Path) -> tuple[str, str] | None:
        """The image's prompt and the name of the nearest table that has it; None if no table does.

        Raises:
            TableError: for a table of prompts that cannot be used.
        """
        for folder in self._within(place_of(image).parent):
            for name, table in self._tables(folder):
                if isinstance(table, TableError):
                    raise table
                prompt = table.prompt_of(image)
                if prompt is not None:
                    return prompt, name
        return None

    def _within(self, folder: Path) -> list[Path]:
        """The folder and those above it, up to the topmost one that is scored."""
        above = [folder, *folder.parents]
        tops = [place for place, parent in enumerate(above) if parent in self._folders]
        return above[: max(tops, default=0) + 1]


def _tables_in(folder: Path) -> list[tuple[str, PromptTable | TableError]]:
    paths = [folder / name for name in FOLDER_TABLES if (folder / name).is_file()]
    tables = ((path.name, _table(path)) for path in paths)
    return [(name, table) for name, table in tables if table is not None]


def _table(path: Path) -> PromptTable | TableError | None:
    """A table, or the error in it; None for a table without our columns: other programs write a metadata.csv, too."""
    try:
        rows = read_table(path, [])
        is_of_prompts = all(find_column(rows.columns, name) is not None for name in COLUMNS)
        return PromptTable(path) if is_of_prompts else None
    except TableError as error:
        return error


def place_of(path: Path) -> Path:
    """The absolute path of a file, with links in its folder resolved; a link that is the file itself is kept."""
    return path.parent.resolve() / path.name
