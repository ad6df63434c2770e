"""``moeagiqa rank``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import SOME_FAILED, in_one_sentence
from .shared import (
    Crops,
    Device,
    Dtype,
    Fast,
    LongPrompts,
    Metric,
    Paths,
    Place,
    Prompt,
    PromptFrom,
    Prompts,
    SafeCells,
    Target,
    Weights,
    metric_options,
    prompt_choice,
    what_is_kept,
)


def rank(
    paths: Paths,
    prompt: Prompt = None,
    prompts: Prompts = None,
    prompt_from: PromptFrom = Place.auto,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar='N',
            help='How many images of each prompt to print, and to copy or link; default: print all, copy or link one.',
        ),
    ] = None,
    copy_to: Annotated[
        Path | None, typer.Option(metavar='FOLDER', help='A new or empty folder for copies of the best images.')
    ] = None,
    link_to: Annotated[
        Path | None, typer.Option(metavar='FOLDER', help='A new or empty folder for links to the best images.')
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            '--output',
            '-o',
            metavar='FILE',
            help='.csv, .jsonl or .parquet file for the ranked scores. The same command continues a stopped run.',
        ),
    ] = None,
    metric: Metric = 'moeagiqa',
    target: Target = None,
    crops: Crops = None,
    weights: Weights = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    long_prompts: LongPrompts = None,
    safe_cells: SafeCells = True,
) -> None:
    """Rank images within each prompt and pick the best.

    Exit code: 0 if all images were ranked, 1 if some were not, 2 for wrong usage.
    """
    with in_one_sentence(what_is_kept(output)):
        from ..scoring import job, ranking

        options = metric_options(target, crops, weights, device, dtype, fast, long_prompts)
        choice = prompt_choice(prompt, prompts, prompt_from)
        failed = ranking.rank(job.Job(paths, choice, output, metric, options, safe_cells), top, copy_to, link_to)
    raise typer.Exit(SOME_FAILED if failed else 0)
