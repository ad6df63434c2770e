"""Arguments and options that several commands share."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..scoring.sources import PromptChoice

Paths = Annotated[list[str], typer.Argument(help='Images, folders, or patterns such as "out/*.png".')]
Prompt = Annotated[str | None, typer.Option(metavar='TEXT', help='One prompt for all images.')]
Prompts = Annotated[
    Path | None,
    typer.Option(
        metavar='FILE',
        help='A table with columns path and prompt: CSV, TSV, JSON, Parquet or Excel. Its paths are relative to the table, '
        "to the images' folder or to the working directory.",
    ),
]


class Place(str, Enum):
    """Places where an image's prompt can be found."""

    auto = 'auto'
    folder_table = 'folder-table'
    sidecar = 'sidecar'
    metadata = 'metadata'


PromptFrom = Annotated[
    Place,
    typer.Option(
        help='Where prompts are if neither is given. folder-table: metadata.jsonl or '
        "metadata.csv in an image's folder, with columns file_name and text. sidecar: cat.txt or cat.json beside cat.png. "
        'metadata: the text that the software which made an image wrote into its file. auto: the first of these that has '
        'a prompt.'
    ),
]
Metric = Annotated[str, typer.Option(metavar='NAME', help='Any no-reference metric of pyiqa.')]
Crops = Annotated[
    int | None,
    typer.Option(min=1, metavar='N', help='Crops per image; default: as many as the checkpoint was tested with.'),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar='NAME', help='float32 (default), bfloat16, float16, or auto: bfloat16 if the hardware is fast with it.'
    ),
]
Fast = Annotated[bool, typer.Option('--fast', help='One crop and dtype auto: faster, with slightly different scores.')]
Device = Annotated[
    str | None, typer.Option(metavar='NAME', help='cpu, cuda, cuda:1 or mps; default: a GPU if there is one.')
]
Weights = Annotated[
    str | None, typer.Option(metavar='FILE', help='A checkpoint: a file, https://... or hf://owner/repo/file.')
]
SafeCells = Annotated[
    bool,
    typer.Option(
        help='In a new CSV, put an apostrophe before paths and prompts that a spreadsheet would read as a formula.'
    ),
]
LongPrompts = Annotated[
    str | None,
    typer.Option(
        metavar='cut|window',
        help='What to do with a prompt that is too long for the network: cut it (default), or read all of it in windows.',
    ),
]
Tables = Annotated[
    list[Path] | None,
    typer.Option('--eval', metavar='TABLE', help='Test the best network on this table, too; repeatable.'),
]
Gpus = Annotated[
    int | None,
    typer.Option(min=1, metavar='NUMBER', help='Runs to train at the same time, each on a GPU of its own.'),
]
DryRun = Annotated[bool, typer.Option('--dry-run', help='Show the runs and what is missing; train nothing.')]
Target = Annotated[
    str | None,
    typer.Option(
        metavar='NAME', help="Which of the checkpoint's scores: quality (default), or another such as alignment."
    ),
]


def listed(text: str) -> list[str]:
    """The parts of an option that takes several values, as in a,b,c."""
    return [part.strip() for part in text.split(',') if part.strip()]


def prompt_choice(prompt: str | None, prompts: Path | None, prompt_from: Place) -> 'PromptChoice':
    """Where the images' prompts come from."""
    from ..scoring.sources import PromptChoice

    return PromptChoice(prompt, prompts, prompt_from.value)


def metric_options(
    target: str | None = None,
    crops: int | None = None,
    weights: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    fast: bool = False,
    long_prompts: str | None = None,
) -> dict[str, Any]:
    """The options of ``create_metric`` that were given, by name."""
    options = {
        'target': target,
        'crops': crops,
        'pretrained_model_path': weights,
        'device': device,
        'dtype': dtype,
        'fast': fast or None,
        'long_prompts': long_prompts,
    }
    return {name: value for name, value in options.items() if value is not None}


def what_is_kept(output: Path | str | None) -> str:
    """What a user reads who stops a command with Ctrl-C that writes scores to ``output``."""
    if output is None or str(output) == '-':
        return 'stopped; nothing is kept.'
    return f'stopped; the scores in {output} are kept, the same command goes on from there.'
