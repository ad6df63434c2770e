"""``moeagiqa export``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import in_one_sentence


def export(
    output: Annotated[Path, typer.Argument(help='The .onnx file to write.')],
    weights: Annotated[
        str, typer.Option(help='A checkpoint: model name, file, https://... or hf://owner/repo/file.')
    ] = 'moeagiqa',
    crops: Annotated[int | None, typer.Option(min=1, help='Crops per image; default: as it was tested.')] = None,
) -> None:
    """Write a checkpoint's network as ONNX, for programs without torch."""
    with in_one_sentence():
        from ..checkpoints import export as write_onnx

        typer.echo(write_onnx(output, weights, crops))
