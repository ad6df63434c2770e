"""``moeagiqa options write``: copy the option files and data-set descriptions from the package to the user's folder."""

import filecmp
import shutil
from pathlib import Path

from ..options import OptionError
from ..whole_file import whole_file
from .info import shared_folder

FOLDERS, ENDINGS = ('options', 'datasets_meta'), ('.yml', '.csv')


def write_options(folder: Path | str, force: bool = False) -> list[Path]:
    """Copy ``options/`` and ``datasets_meta/`` (with its split files) into ``folder``; return the paths of the copies.

    Raises:
        OptionError: if a file there differs and ``force`` is false; it names the file, and nothing is written.
    """
    pairs = [
        (source, Path(folder) / name / source.relative_to(shared_folder(name)))
        for name in FOLDERS
        for source in sorted(shared_folder(name).rglob('*'))
        if source.suffix in ENDINGS
    ]
    changed = [target for source, target in pairs if target.exists() and not filecmp.cmp(source, target, shallow=False)]
    if changed and not force:
        raise OptionError(f'{changed[0]} is there already and differs: --force replaces it, or name another folder.')
    for source, target in pairs:
        with whole_file(target) as part:
            shutil.copyfile(source, part)
    return [target for _, target in pairs]
