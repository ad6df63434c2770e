"""``moeagiqa weights install``, ``moeagiqa weights list`` and ``moeagiqa weights push``."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import console
from .failures import in_one_sentence

app = typer.Typer(no_args_is_help=True, help='List, install and publish checkpoints.')


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


@app.command()
def push(
    checkpoint: Annotated[
        str, typer.Argument(help='A checkpoint: a file, a model name, https://... or hf://owner/repo/file.')
    ],
    repository: Annotated[str, typer.Argument(metavar='OWNER/NAME', help='The repository on the Hugging Face hub.')],
    private: Annotated[bool, typer.Option('--private', help='Make the repository private.')] = False,
    dry_run: Annotated[
        bool, typer.Option('--dry-run', help='Show the files and the card; ask nothing of the hub.')
    ] = False,
) -> None:
    """Upload a checkpoint and its model card to the Hugging Face hub.

    The repository is made if it is not there. A README.md that is there keeps its text, its licence and its other metadata.
    """
    with in_one_sentence():
        from ..checkpoints.push import planned
        from ..checkpoints.push import push as upload

        if dry_run:
            sizes, card = planned(checkpoint, repository)
            lines = [f'{name}: {size:,} bytes' for name, size in sizes.items()]
            console().print('\n'.join([*lines, '', str(card)]), soft_wrap=True)
        else:
            console().print(f'Uploaded: {upload(checkpoint, repository, private)}', soft_wrap=True)
