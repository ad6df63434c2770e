"""``moeagiqa compare``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import SOME_FAILED, in_one_sentence
from .shared import (
    Crops,
    Device,
    Dtype,
    Fast,
    Metric,
    Place,
    Prompt,
    PromptFrom,
    Prompts,
    Target,
    Weights,
    metric_options,
    prompt_choice,
    what_is_kept,
)


def compare(
    one: Annotated[Path, typer.Argument(help='Folder of the first generator.')],
    other: Annotated[Path, typer.Argument(help='Folder of the second generator.')],
    prompt: Prompt = None,
    prompts: Prompts = None,
    prompt_from: PromptFrom = Place.auto,
    metric: Metric = 'moeagiqa',
    target: Target = None,
    crops: Crops = None,
    weights: Weights = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    output: Annotated[
        Path,
        typer.Option(
            '--output',
            '-o',
            metavar='FOLDER',
            help='Folder for the page, table and scores. The same command continues a stopped run.',
        ),
    ] = Path('compare'),
) -> None:
    """Compare two generators on the same prompts.

    The result says who wins how often, by how much, and whether that could be chance. Images pair by prompt; without prompts,
    or with one prompt for all, they pair by file name.

    Exit code: 0 if all images were scored, 1 if some were not, 2 for wrong usage.
    """
    with in_one_sentence(what_is_kept(output)):
        from ..leaderboard import compare_command

        options = metric_options(target, crops, weights, device, dtype, fast)
        choice = prompt_choice(prompt, prompts, prompt_from)
        failed = compare_command.compare((one, other), choice, metric, options, output)
    raise typer.Exit(SOME_FAILED if failed else 0)
