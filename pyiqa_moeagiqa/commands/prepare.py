"""``moeagiqa prepare``."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ..console import plain
from ..data.official import NAMES
from .failures import in_one_sentence

DataSet = Enum('DataSet', {name: name for name in NAMES})  # type: ignore[misc]  # the names are those of modules


def prepare(
    name: Annotated[DataSet, typer.Argument(help='The data set.')],
    source: Annotated[Path, typer.Option(metavar='FOLDER', help='Folder of the official download.')],
    output: Annotated[
        Path | None,
        typer.Option('--output', '-o', metavar='FILE', help='The CSV file to write; default: datasets/NAME.csv.'),
    ] = None,
    partial: Annotated[
        bool, typer.Option('--partial', help='Leave out images that are missing in the folder.')
    ] = False,
) -> None:
    """Turn a data set's download into the table for training.

    The table has all splits of the data set.
    """
    output = output or Path('datasets') / f'{name.value}.csv'
    with in_one_sentence():
        from ..data.prepare import prepare as write_table

        table, notes = write_table(name.value, source, output, partial)
    for note in notes:
        typer.secho(f'moeagiqa: {plain(note)}', err=True, fg='yellow')
    typer.echo(f'{output}: {len(table)} images, {table["prompt"].nunique()} prompts')
