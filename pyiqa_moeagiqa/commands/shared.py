"""Arguments and options that several commands share."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..scoring.sources import PromptChoice

Paths = Annotated[list[str], typer.Argument(help='Images, folders, or patterns such as "out/*.png".')]
Prompt = Annotated[str | None, typer.Option(help='One prompt for all images.')]
Prompts = Annotated[
    Path | None,
    typer.Option(
        help='A table with columns path (relative to it, to the folder of the images, or to the working directory) and '
        'prompt: CSV, TSV, JSON, Parquet or Excel.'
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
        help='Where prompts are, when neither of these two is given: metadata.jsonl or .csv of the folder (file_name and '
        'text), cat.txt or cat.json beside cat.png, what the software that made an image wrote into it; auto: the first '
        'of these that has one.'
    ),
]
Metric = Annotated[str, typer.Option(help='Any no-reference metric of pyiqa.')]
Crops = Annotated[int | None, typer.Option(min=1, help='Crops per image; default: as the checkpoint was tested.')]
Dtype = Annotated[
    str | None, typer.Option(help='float32 (the default), bfloat16, float16, or auto: bfloat16 where it is fast.')
]
Fast = Annotated[bool, typer.Option('--fast', help='One crop and dtype auto: see docs/performance.md.')]
Device = Annotated[str | None, typer.Option(help='cpu, cuda, cuda:1, mps; default: a GPU where there is one.')]
Weights = Annotated[str | None, typer.Option(help='A checkpoint: file, https://... or hf://owner/repo/file.')]
SafeCells = Annotated[
    bool,
    typer.Option(
        help='In a new CSV, put an apostrophe before paths and prompts that a spreadsheet would take for a formula.'
    ),
]
LongPrompts = Annotated[
    str | None, typer.Option(help='cut (the default), or window: all of a long prompt is read, part by part.')
]
Target = Annotated[str | None, typer.Option(help='quality (the default), or another that the checkpoint scores.')]


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
    """Options of ``create_metric``, by name; None for one that was not given."""
    return {
        'target': target,
        'crops': crops,
        'pretrained_model_path': weights,
        'device': device,
        'dtype': dtype,
        'fast': fast or None,
        'long_prompts': long_prompts,
    }


def what_is_kept(output: Path | None) -> str:
    """What a user reads who stops a command with Ctrl-C that writes scores to ``output``."""
    if output is None or str(output) == '-':
        return 'stopped; nothing is kept.'
    return f'stopped; the scores in {output} are kept, the same command goes on from there.'
