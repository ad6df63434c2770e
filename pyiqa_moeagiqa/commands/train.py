"""``moeagiqa train``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import in_one_sentence
from .shared import Tables, listed


def train(
    options: Annotated[Path, typer.Argument(help='The option file.')],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar='KEY=VALUE', help='Changes of options, such as train.optim.lr=1.0e-4.')
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option('--output', '-o', metavar='FOLDER', help='Folder of the run; default: experiments/NAME.'),
    ] = None,
    seeds: Annotated[str, typer.Option(metavar='NUMBERS', help='One run for each seed, such as 1,2,3.')] = '',
    splits: Annotated[
        str,
        typer.Option(
            metavar='NAMES',
            help='One run for each split column, such as prompt_0,prompt_1; image or prompt: all ten of that kind; '
            'image_5folds_seed1: five folds over images, drawn with seed 1.',
        ),
    ] = '',
    folds: Annotated[
        int | None,
        typer.Option(min=2, max=1000, metavar='K', help='One run for each of K folds over prompts, drawn with seed 0.'),
    ] = None,
    no_val: Annotated[
        bool,
        typer.Option(
            '--no-val',
            help='Train on the validation images, too, and choose the best network on the test images: 80/20, and optimistic.',
        ),
    ] = False,
    tables: Tables = None,
    fresh: Annotated[bool, typer.Option('--fresh', help='Delete an earlier run in the folder and start over.')] = False,
) -> None:
    """Train a network and compare it with published figures.

    The best network of the run is kept. The same command continues a stopped run from its last saved state.
    """
    with in_one_sentence('stopped; the same command goes on from the last state.'):
        from ..training import command

        seeds_and_splits = listed(seeds), listed(splits)
        command.train(options, changes or [], output, *seeds_and_splits, fresh, tables or [], folds, no_val)
