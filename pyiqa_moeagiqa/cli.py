"""The ``moeagiqa`` command. Each command is a file of ``commands/``, which imports its work when it is called."""

import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

from .commands import data, options, weights
from .commands.compare import compare
from .commands.convert import convert
from .commands.explain import explain
from .commands.export import export
from .commands.leaderboard import leaderboard
from .commands.prepare import prepare
from .commands.rank import rank
from .commands.recipe import recipe
from .commands.replicate import replicate
from .commands.score import score
from .commands.serve import serve
from .commands.train import train
from .console import accept_any_text

app = typer.Typer(
    name='moeagiqa',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # tables in a help text cut long words and leave little room for sentences
)
COMMANDS: tuple[Callable[..., Any], ...] = (
    score,
    rank,
    prepare,
    train,
    replicate,
    recipe,
    leaderboard,
    explain,
    compare,
    convert,
    export,
    serve,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(options.app, name='options')
app.add_typer(data.app, name='data')
app.add_typer(weights.app, name='weights')


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f'moeagiqa {version("pyiqa-moeagiqa")}')
        raise typer.Exit()


@app.callback()
def _moeagiqa(
    version: Annotated[
        bool, typer.Option('--version', help='Show the version and exit.', callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """How good is an AI-generated image for its prompt? MoE-AGIQA for pyiqa."""


def main() -> None:
    """Entry point of the ``moeagiqa`` command."""
    accept_any_text()
    warnings.filterwarnings('ignore', module='PIL')  # they do not name the file
    app()


if __name__ == '__main__':
    main()
