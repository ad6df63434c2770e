"""``moeagiqa leaderboard``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import SOME_FAILED, in_one_sentence
from .shared import Crops, Device, Dtype, Fast, listed, metric_options, what_is_kept


def leaderboard(
    metrics: Annotated[
        str,
        typer.Option(
            help="pyiqa's no-reference metrics, METRIC:WEIGHTS or LABEL=METRIC:WEIGHTS, and the baselines "
            'generator-mean and ridge; as in moeagiqa,piqe,ridge.'
        ),
    ],
    data: Annotated[list[Path], typer.Option(help='A table with columns path, prompt and MOS; repeatable.')],
    target: Annotated[
        str,
        typer.Option(
            help='MOS columns, as in quality,alignment. COLUMN=TARGET, as in mos=quality, compares a column of your own '
            "with that score of this package's metrics."
        ),
    ] = 'quality',
    split: Annotated[
        str | None,
        typer.Option(
            help='Some of the rows only: COLUMN=VALUE, as in prompt_0=test; baselines learn from COLUMN=train.'
        ),
    ] = None,
    published: Annotated[bool, typer.Option('--published', help="Show others' published figures below.")] = False,
    crops: Crops = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    output: Annotated[
        Path, typer.Option('--output', '-o', help='Folder for tables, page and scores; a second run goes on there.')
    ] = Path('leaderboard'),
) -> None:
    """Compare metrics on data sets with MOS: correlations with intervals, pairs within a prompt, ties, a report.

    --crops, --dtype and --fast are for this package's metrics, --device is for all.

    Exit code: 0 all rows have figures, 1 some have not, 2 usage.
    """
    with in_one_sentence(what_is_kept(output)):
        from ..leaderboard import command

        options = metric_options(crops=crops, device=device, dtype=dtype, fast=fast)
        missing = command.make(listed(metrics), data, listed(target), split, published, options, output)
    raise typer.Exit(SOME_FAILED if missing else 0)
