"""``moeagiqa score``."""

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


def score(
    paths: Paths,
    prompt: Prompt = None,
    prompts: Prompts = None,
    prompt_from: PromptFrom = Place.auto,
    output: Annotated[
        Path | None,
        typer.Option(
            '--output',
            '-o',
            help='.csv, .jsonl or .parquet; a second run goes on where the first stopped. - is CSV on standard output.',
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help='How many are printed, the best first; default: all, or none with an output.'),
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
    """Score images for their prompts: higher is better (with --metric, as that metric has it).

    Beside a score: mos (in the units that raters used), low and high (within them lies the MOS of 80 % of images that score
    so), and percentile (how many in a hundred of AGIQA-3K's images have a lower MOS); as far as the checkpoint knows them.
    An output holds the checkpoint's other targets, too.

    Exit code: 0 all were scored, 1 some were not, 2 usage.
    """
    with in_one_sentence(what_is_kept(output)):
        from ..scoring import command

        options = metric_options(target, crops, weights, device, dtype, fast, long_prompts)
        choice = prompt_choice(prompt, prompts, prompt_from)
        failed = command.score(command.Job(paths, choice, output, metric, options, safe_cells), top)
    raise typer.Exit(SOME_FAILED if failed else 0)
