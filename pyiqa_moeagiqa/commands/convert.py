"""``moeagiqa convert``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import in_one_sentence


def convert(
    finetuned: Annotated[Path, typer.Option(help='The released fine-tuned best.pth.')],
    output: Annotated[Path, typer.Option('--output', '-o', help='The checkpoint to write.')],
    prior: Annotated[Path | None, typer.Option(help="The released prior's best.pth; leave out for v1.")] = None,
    visual: Annotated[Path | None, typer.Option(help="timm's ViT weights; default: fetched by timm.")] = None,
    dataset: Annotated[str | None, typer.Option(help='What it was trained on, for the header.')] = None,
    mos_range: Annotated[
        tuple[float, float] | None, typer.Option(help="The data set's lowest and highest MOS, for the header.")
    ] = None,
) -> None:
    """Turn the released PyTorch files into one checkpoint of this package."""
    with in_one_sentence():
        from ..checkpoints import convert_released

        typer.echo(convert_released(finetuned, prior, visual, output, dataset, mos_range=mos_range))
