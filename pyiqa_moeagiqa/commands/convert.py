"""``moeagiqa convert``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import in_one_sentence


def convert(
    finetuned: Annotated[Path, typer.Option(metavar='FILE', help='best.pth of the released fine-tuned network.')],
    output: Annotated[Path, typer.Option('--output', '-o', metavar='FILE', help='The checkpoint to write.')],
    prior: Annotated[
        Path | None, typer.Option(metavar='FILE', help='best.pth of the released prior; leave out for v1.')
    ] = None,
    visual: Annotated[
        Path | None, typer.Option(metavar='FILE', help="Weights of timm's ViT; default: downloaded by timm.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar='NAME', help="The training data set's name, noted in the checkpoint.")
    ] = None,
    mos_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar='LOW HIGH',
            help='MOS of scores 0 and 1, for the checkpoint: 0 and the largest MOS in its data, such as 0 4.4887 (AGIQA-3K).',
        ),
    ] = None,
) -> None:
    """Turn the released PyTorch files into one checkpoint."""
    with in_one_sentence():
        from ..checkpoints import convert_released

        typer.echo(convert_released(finetuned, prior, visual, output, dataset, mos_range=mos_range))
