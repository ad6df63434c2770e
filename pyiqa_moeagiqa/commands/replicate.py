"""``moeagiqa replicate``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import SOME_FAILED, in_one_sentence
from .shared import DryRun, Gpus, listed


def replicate(
    table: Annotated[
        str,
        typer.Argument(help='main (both versions on each data set), table4, table5, table7, table8 or table9.'),
    ],
    data: Annotated[Path, typer.Option(metavar='FOLDER', help='Folder of prepared tables.')] = Path('datasets'),
    output: Annotated[
        Path, typer.Option('--output', '-o', metavar='FOLDER', help='Folder for the runs and the tables.')
    ] = Path('experiments/replicate'),
    seeds: Annotated[
        str, typer.Option(metavar='NUMBERS', help='One run of each row for each seed, such as 1,2,3.')
    ] = '',
    splits: Annotated[
        str,
        typer.Option(
            metavar='NAMES', help='One run of each row for each split column; image or prompt: all ten of that kind.'
        ),
    ] = '',
    budget: Annotated[
        float | None, typer.Option(min=0, metavar='HOURS', help='After this time no further run is started.')
    ] = None,
    gpus: Gpus = None,
    dry_run: DryRun = False,
) -> None:
    """Repeat one of the paper's tables.

    Every row is trained, and its figures are written beside the published ones. Finished runs are not repeated, stopped
    ones continue, and rows that are the same run share it. Each run's scores are drawn against MOS, too.

    Exit code: 0 if no run failed, 1 if some failed, 2 for wrong usage.
    """
    with in_one_sentence('stopped; the same command goes on from the last state.'):
        from ..training import replicate as replication

        failed = replication.replicate(table, data, output, listed(seeds), listed(splits), budget, gpus, dry_run)
    raise typer.Exit(SOME_FAILED if failed else 0)
