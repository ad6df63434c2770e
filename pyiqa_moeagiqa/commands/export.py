"""``moeagiqa export``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import in_one_sentence


def export(
    output: Annotated[Path, typer.Argument(help='The .onnx file to write.')],
    weights: Annotated[
        str,
        typer.Option(metavar='FILE', help='A checkpoint: a model name, a file, https://... or hf://owner/repo/file.'),
    ] = 'moeagiqa',
    crops: Annotated[
        int | None,
        typer.Option(min=1, metavar='N', help='Crops per image; default: as many as the checkpoint was tested with.'),
    ] = None,
) -> None:
    """Write a checkpoint's network as an ONNX file.

    Programs without torch can run it.
    """
    with in_one_sentence():
        from ..checkpoints import export as write_onnx

        typer.echo(write_onnx(output, weights, crops))
