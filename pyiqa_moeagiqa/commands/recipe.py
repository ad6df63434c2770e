"""``moeagiqa recipe``."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .failures import SOME_FAILED, in_one_sentence
from .shared import DryRun, Gpus, Tables


class Name(str, Enum):
    """Recipes that ``recipe`` knows."""

    strong = 'strong'


def recipe(
    name: Annotated[Name, typer.Argument(help='The recipe.')],
    data: Annotated[
        str, typer.Option(metavar='NAME', help='A prepared data set in the folder datasets, or the path of a table.')
    ] = 'agiqa3k',
    output: Annotated[
        Path | None,
        typer.Option('--output', '-o', metavar='FOLDER', help='Folder of the runs; default: experiments/RECIPE_DATA.'),
    ] = None,
    tables: Tables = None,
    gpus: Gpus = None,
    dry_run: DryRun = False,
) -> None:
    """Train modern networks on a data set and keep the best one.

    The recipe "strong" trains SigLIP 2, CLIP ViT-L and DINOv3. A validation split chooses among them. The test split, of
    prompts that no network has seen, chooses nothing: its figures are those to report. The best network is written as one
    file, strong.safetensors, which scores without any other file.

    Exit code: 0 if no run failed, 1 if some failed, 2 for wrong usage.
    """
    with in_one_sentence('stopped; the same command goes on from the last state.'):
        from ..training import recipe as recipes

        failed = recipes.recipe(name.value, data, output, tables or [], gpus, dry_run)
    raise typer.Exit(SOME_FAILED if failed else 0)
