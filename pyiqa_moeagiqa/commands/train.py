"""``moeagiqa train``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import in_one_sentence
from .shared import listed


def train(
    options: Annotated[Path, typer.Argument(help='The option file.')],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar='[KEY=VALUE]...', help='Options to change: train.optim.lr=1.0e-4.')
    ] = None,
    output: Annotated[
        Path | None, typer.Option('--output', '-o', help='Folder of the run; default: experiments/NAME.')
    ] = None,
    seeds: Annotated[str, typer.Option(help='One run for each, as in 1,2,3.')] = '',
    splits: Annotated[str, typer.Option(help='One run for each split column, as in prompt_0,prompt_1.')] = '',
    fresh: Annotated[bool, typer.Option(help='Start over where an earlier run left something.')] = False,
) -> None:
    """Train a network, keep the best, and show its figures beside the published ones.

    A run that was cut goes on from its last state when the same command is given again.
    """
    with in_one_sentence('stopped; the same command goes on from the last state.'):
        from ..training import command

        command.train(options, changes or [], output, listed(seeds), listed(splits), fresh)
