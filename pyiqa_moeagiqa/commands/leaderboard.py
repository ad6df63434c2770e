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
            metavar='NAMES',
            help='Metrics such as moeagiqa,piqe,ridge: no-reference metrics of pyiqa, and the baselines generator-mean and '
            'ridge. METRIC:WEIGHTS gives a metric other weights, and LABEL=METRIC:WEIGHTS a name as well. '
            'predictions:RUN/predictions.csv takes the scores that a training run left.',
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Option(
            metavar='FILE', help='A table with columns path, prompt and MOS; repeat the option for several tables.'
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            metavar='NAMES',
            help='MOS columns, such as quality,alignment. COLUMN=TARGET, such as mos=quality, compares a column of yours '
            "with that score of this package's metrics.",
        ),
    ] = 'quality',
    split: Annotated[
        str | None,
        typer.Option(
            metavar='COLUMN=VALUE',
            help='Take only these rows, such as prompt_0=test. Baselines learn from the rows with COLUMN=train.',
        ),
    ] = None,
    published: Annotated[
        bool, typer.Option('--published', help='Show the published figures of other authors, too.')
    ] = False,
    crops: Crops = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    output: Annotated[
        Path,
        typer.Option(
            '--output',
            '-o',
            metavar='FOLDER',
            help='Folder for the page, tables and scores. The same command continues a stopped run.',
        ),
    ] = Path('leaderboard'),
) -> None:
    """Compare metrics on data sets with MOS.

    Each metric gets correlations with their intervals, its accuracy on pairs of images of one prompt, and a test whether the
    best metric is really better. A page and tables hold all of it.

    --crops, --dtype and --fast apply to this package's metrics only, --device to all.

    Exit code: 0 if all rows have figures, 1 if some have none, 2 for wrong usage.
    """
    with in_one_sentence(what_is_kept(output)):
        from ..leaderboard import command

        options = metric_options(crops=crops, device=device, dtype=dtype, fast=fast)
        missing = command.leaderboard(listed(metrics), data, listed(target), split, published, options, output)
    raise typer.Exit(SOME_FAILED if missing else 0)
