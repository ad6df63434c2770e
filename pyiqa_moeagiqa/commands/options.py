"""``moeagiqa options write``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import in_one_sentence

app = typer.Typer(no_args_is_help=True, help='Option files for training.')


@app.command()
def write(
    folder: Annotated[Path, typer.Argument(help='The folder in which options/ and datasets_meta/ are made.')],
    force: Annotated[bool, typer.Option('--force', help='Replace files that you have changed.')] = False,
) -> None:
    """Write option files and data set descriptions to a folder."""
    with in_one_sentence():
        from ..data import shared_files

        written = shared_files.write_options(folder, force)
    for path in written:
        typer.echo(path)
