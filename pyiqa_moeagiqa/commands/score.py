"""``moeagiqa score``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from ..scoring.sources import PromptChoice


def score(
    paths: Paths,
    prompt: Prompt = None,
    prompts: Prompts = None,
    prompt_from: PromptFrom = Place.auto,
    output: Annotated[
        str | None,
        typer.Option(
            '--output',
            '-o',
            metavar='FILE',
            help='.csv, .jsonl or .parquet file for the scores. The same command continues a stopped run. With -, scores are printed as CSV. '
            'With --ray: a folder.',
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar='N', help='How many images to print, the best first; default: all, or none with --output.'
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
    ray: Annotated[
        str | None,
        typer.Option(
            metavar='ADDRESS',
            help='Score on a cluster, by Ray Data: local (this machine alone), auto (a running cluster) or an address. '
            'PATHS can then be tables (.parquet, .jsonl) and WebDataset shards (.tar), too, and begin with s3://, gs:// or hf://.',
        ),
    ] = None,
) -> None:
    """Score images for their prompts; higher is better.

    With --metric, another metric of pyiqa scores the images; some give lower scores to better images.

    A checkpoint that knows the ratings behind its scores adds mos (the mean opinion score, on the raters' scale), low
    and high (the MOS of 80 % of images with such a score lies between them) and percentile (the percentage of AGIQA-3K's images with a lower MOS).
    Files also get the checkpoint's other scores, such as alignment.

    Exit code: 0 if all images were scored, 1 if some were not, 2 for wrong usage.
    """
    with in_one_sentence(what_is_kept(output)):
        options = metric_options(target, crops, weights, device, dtype, fast, long_prompts)
        choice = prompt_choice(prompt, prompts, prompt_from)
        if ray is not None:
            failed = _on_cluster(paths, choice, output, metric, options, ray, top)
        else:
            from ..scoring import command

            file = None if output is None else Path(output)
            failed = command.score(command.Job(paths, choice, file, metric, options, safe_cells), top)
    raise typer.Exit(SOME_FAILED if failed else 0)


def _on_cluster(
    paths: list[str],
    choice: 'PromptChoice',
    output: str | None,
    metric: str,
    options: dict[str, Any],
    address: str,
    top: int | None,
) -> int:
    from ..scoring.sources import SourceError

    if top:
        raise SourceError('--top: with --ray the scores are in the output; leave one of the two out.')
    if not output:
        raise SourceError('--ray: name a folder for the scores, as in --output scores/.')
    from ..cluster.command import ClusterJob, score

    return score(ClusterJob(paths, choice, output, metric, options, address))
