"""``moeagiqa weights install`` and ``moeagiqa weights list``."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import console
from .failures import in_one_sentence

app = typer.Typer(no_args_is_help=True, help='List and install checkpoints.')


@app.command()
def install(
    files: Annotated[list[Path], typer.Argument(help='Checkpoints of moeagiqa-v1 or moeagiqa-v2, or ImageReward.pt.')],
) -> None:
    """Copy checkpoints to where their model name finds them."""
    with in_one_sentence():
        from ..checkpoints import install as install_file

        for file in files:
            typer.echo(install_file(file))


@app.command('list')
def list_weights() -> None:
    """Show each model's checkpoint with its figures, hash and licence."""
    from ..checkpoints import listing

    console().print(listing.list_weights())
