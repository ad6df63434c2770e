"""``moeagiqa options write``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import in_one_sentence

app = typer.Typer(no_args_is_help=True, help='The option files for training.')


@app.command()
def write(
    folder: Annotated[Path, typer.Argument(help='Where options/ and datasets_meta/ are put.')],
    force: Annotated[bool, typer.Option(help='Replace files that you have changed.')] = False,
) -> None:
    """Put the option files and the data sets' descriptions into a folder."""
    with in_one_sentence():
        from ..data import shared_files

        written = shared_files.write(folder, force)
    for path in written:
        typer.echo(path)
