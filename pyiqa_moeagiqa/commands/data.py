"""``moeagiqa data check``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ..console import console
from .failures import SOME_FAILED, in_one_sentence
from .shared import listed

app = typer.Typer(no_args_is_help=True, help='Check tables of images, prompts and MOS.')


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help='A table with columns path, prompt and MOS.')],
    mos_range: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar='LOW HIGH', help='Lowest and highest possible MOS; default: any numbers.'),
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            metavar='NAMES',
            help='MOS columns, such as quality,alignment; default: those of quality, alignment and authenticity that the table has.',
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint: prompts' tokens are counted as its network reads them; default: BERT's, 35 of them."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option('--json', help='Print the report as JSON.')] = False,
) -> None:
    """Show what a table holds and everything that is wrong in it.

    Exit code: 0 if nothing is wrong, 1 if something is, 2 for wrong usage.
    """
    with in_one_sentence():
        from ..data.check import check_table
        from ..data.check_report import print_report

        report = check_table(file, listed(targets) if targets else None, mos_range, weights)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        print_report(report, console())
    raise typer.Exit(SOME_FAILED if report.problems else 0)
