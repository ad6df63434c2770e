"""The ``moeagiqa`` command: parses, calls, prints. Imports are made inside the commands, so that --help stays quick."""

import json
import os
import warnings
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from .console import accept_any_text, plain

if TYPE_CHECKING:
    from .scoring.sources import PromptChoice

app = typer.Typer(
    name='moeagiqa',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
options_app = typer.Typer(no_args_is_help=True, help='The option files for training.')
weights_app = typer.Typer(no_args_is_help=True, help='Checkpoints: what is where, and where to put one.')
data_app = typer.Typer(no_args_is_help=True, help='Tables of images, prompts and MOS.')
app.add_typer(options_app, name='options')
app.add_typer(data_app, name='data')
app.add_typer(weights_app, name='weights')

USAGE, SOME_FAILED, BROKEN_PIPE = 2, 1, 141

# Arguments that several commands share.
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
Scores = Annotated[
    Path | None,
    typer.Option(
        '--output',
        '-o',
        help='.csv, .jsonl or .parquet; a second run goes on where the first stopped. - is CSV on standard output.',
    ),
]
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


class Prepared(str, Enum):
    """Data sets that ``prepare`` knows."""

    agiqa1k = 'agiqa1k'
    agiqa3k = 'agiqa3k'
    aigciqa2023 = 'aigciqa2023'
    aigiqa20k = 'aigiqa20k'
    koniq10k = 'koniq10k'


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f'moeagiqa {version("pyiqa-moeagiqa")}')
        raise typer.Exit()


@app.callback()
def _moeagiqa(
    version: Annotated[
        bool, typer.Option('--version', help='Show the version.', callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """How good is an AI-generated image for its prompt? MoE-AGIQA for pyiqa."""


def fail(error: Exception | str, code: int = USAGE) -> NoReturn:
    """Print what is wrong in one sentence and exit with ``code``, or with ``BROKEN_PIPE`` if the output's reader is gone."""
    if isinstance(error, BrokenPipeError):  # the reader of our output has closed the pipe, as "head" does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise typer.Exit(BROKEN_PIPE)
    if isinstance(error, OSError) and error.filename and error.strerror:
        error = f'{error.filename}: {error.strerror.lower()}; name another place.'
    typer.secho(f'moeagiqa: {plain(error)}', err=True, fg='red')
    raise typer.Exit(code)


@app.command()
def score(
    paths: Paths,
    prompt: Prompt = None,
    prompts: Prompts = None,
    prompt_from: PromptFrom = Place.auto,
    output: Scores = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help='How many are printed, the best first; default: all, or none with an output.'),
    ] = None,
    metric: Metric = 'moeagiqa',
    target: Target = None,
    crops: Crops = None,
    weights: Weights = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    long_prompts: LongPrompts = None,
    safe_cells: SafeCells = True,
) -> None:
    """Score images for their prompts: higher is better (with --metric, as that metric has it).

    Beside a score: mos (in the units that raters used), low and high (within them lies the MOS of 80 % of images that score
    so), and percentile (how many in a hundred of AGIQA-3K's images have a lower MOS); as far as the checkpoint knows them.
    An output holds the checkpoint's other targets, too.

    Exit code: 0 all were scored, 1 some were not, 2 usage.
    """
    try:
        from .scoring import command

        options = _options(target, crops, weights, device, dtype, fast) | {'long_prompts': long_prompts}
        choice = _choice(prompt, prompts, prompt_from)
        failed = command.score(command.Job(paths, choice, output, metric, options, safe_cells), top)
    except (ValueError, OSError) as error:  # all of this package's own errors are ValueErrors
        fail(error)
    except KeyboardInterrupt:
        _stopped(output)
    raise typer.Exit(SOME_FAILED if failed else 0)


def _options(
    target: str | None, crops: int | None, weights: str | None, device: str | None, dtype: str | None, fast: bool
) -> dict[str, Any]:
    """Options of ``create_metric``, by name; None for one that was not given."""
    return {
        'target': target,
        'crops': crops,
        'pretrained_model_path': weights,
        'device': device,
        'dtype': dtype,
        'fast': fast or None,
    }


def _choice(prompt: str | None, prompts: Path | None, prompt_from: Place) -> 'PromptChoice':
    from .scoring.sources import PromptChoice

    return PromptChoice(prompt, prompts, prompt_from.value)


def _stopped(output: Path | None) -> NoReturn:
    is_kept = output is not None and str(output) != '-'
    kept = f'the rows in {output} are kept, the same command goes on from there.' if is_kept else 'nothing is kept.'
    fail(f'stopped; {kept}', 130)


@app.command()
def rank(
    paths: Paths,
    prompt: Prompt = None,
    prompts: Prompts = None,
    prompt_from: PromptFrom = Place.auto,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            help='How many of each prompt are printed, and copied or linked; default: all are printed, one is copied.',
        ),
    ] = None,
    copy_to: Annotated[Path | None, typer.Option(help='A new or empty folder for copies of the best.')] = None,
    link_to: Annotated[Path | None, typer.Option(help='A new or empty folder for links to the best.')] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            '--output', '-o', help='.csv, .jsonl or .parquet, sorted with a column rank; a second run goes on there.'
        ),
    ] = None,
    metric: Metric = 'moeagiqa',
    target: Target = None,
    crops: Crops = None,
    weights: Weights = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    long_prompts: LongPrompts = None,
    safe_cells: SafeCells = True,
) -> None:
    """Rank images within each prompt, the best first, and pick the best.

    Exit code: 0 all were ranked, 1 some were not, 2 usage.
    """
    try:
        from .scoring import job, ranking

        options = _options(target, crops, weights, device, dtype, fast) | {'long_prompts': long_prompts}
        choice = _choice(prompt, prompts, prompt_from)
        failed = ranking.rank(job.Job(paths, choice, output, metric, options, safe_cells), top, copy_to, link_to)
    except (ValueError, OSError) as error:
        fail(error)
    except KeyboardInterrupt:
        _stopped(output)
    raise typer.Exit(SOME_FAILED if failed else 0)


@options_app.command('write')
def write_options(
    folder: Annotated[Path, typer.Argument(help='Where options/ and datasets_meta/ are put.')],
    force: Annotated[bool, typer.Option(help='Replace files that you have changed.')] = False,
) -> None:
    """Put the option files and the data sets' descriptions into a folder."""
    from .data.shared_files import write_options

    try:
        written = write_options(folder, force)
    except (ValueError, OSError) as error:
        fail(error)
    for path in written:
        typer.echo(path)


@app.command()
def prepare(
    name: Annotated[Prepared, typer.Argument(help='The data set.')],
    source: Annotated[Path, typer.Option(help='Folder of the official download.')],
    output: Annotated[
        Path | None, typer.Option('--output', '-o', help='CSV to write; default: datasets/NAME.csv.')
    ] = None,
    partial: Annotated[bool, typer.Option('--partial', help='Leave out rows whose image is not there.')] = False,
) -> None:
    """Turn a data set's official download into the table that training reads, with all of its splits."""
    from .data.prepare import prepare as write_table

    output = output or Path('datasets') / f'{name.value}.csv'
    try:
        table, notes = write_table(name.value, source, output, partial)
    except (ValueError, OSError) as error:
        fail(error)
    for note in notes:
        typer.secho(f'moeagiqa: {plain(note)}', err=True, fg='yellow')
    typer.echo(f'{output}: {len(table)} images, {table["prompt"].nunique()} prompts')


@data_app.command('check')
def check_data(
    file: Annotated[Path, typer.Argument(help='A table with columns path, prompt and MOS.')],
    mos_range: Annotated[
        tuple[float, float] | None, typer.Option(help='Lowest and highest possible MOS; default: any number.')
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help='MOS columns, as in quality,alignment; default: those known by name.')
    ] = None,
    as_json: Annotated[bool, typer.Option('--json', help='Print the report as JSON.')] = False,
) -> None:
    """Show what is in a table, and everything that is wrong with it.

    Exit code: 0 nothing is wrong, 1 something is, 2 usage.
    """
    from .console import console
    from .data.check import check_table
    from .data.check_report import print_report

    try:
        report = check_table(file, _listed(targets) if targets else None, mos_range)
    except (ValueError, OSError) as error:
        fail(error)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        print_report(report, console())
    raise typer.Exit(SOME_FAILED if report.problems else 0)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(',') if part.strip()]


@app.command()
def train(
    options: Annotated[Path, typer.Argument(help='The option file.')],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar='[KEY=VALUE]...', help='Options to change: train.optim.lr=1.0e-4.')
    ] = None,
    output: Annotated[
        Path | None, typer.Option('--output', '-o', help='Folder of the run; default: experiments/NAME.')
    ] = None,
    seeds: Annotated[str, typer.Option(help='One run for each, as in 1,2,3.')] = '',
    splits: Annotated[str, typer.Option(help='One run for each split column, as in prompt_0,prompt_1.')] = '',
    fresh: Annotated[bool, typer.Option(help='Start over where an earlier run left something.')] = False,
) -> None:
    """Train a network, keep the best, and show its figures beside the published ones.

    A run that was cut goes on from its last state when the same command is given again.
    """
    try:
        from .training import command

        command.train(options, changes or [], output, _listed(seeds), _listed(splits), fresh)
    except (ValueError, OSError, FloatingPointError) as error:
        fail(error)
    except KeyboardInterrupt:
        fail('stopped; the same command goes on from the last state.', 130)


@app.command()
def leaderboard(
    metrics: Annotated[
        str,
        typer.Option(
            help="pyiqa's no-reference metrics, METRIC:WEIGHTS or LABEL=METRIC:WEIGHTS, and the baselines "
            'generator-mean and ridge; as in moeagiqa,piqe,ridge.'
        ),
    ],
    data: Annotated[list[Path], typer.Option(help='A table with columns path, prompt and MOS; repeatable.')],
    target: Annotated[
        str,
        typer.Option(
            help='MOS columns, as in quality,alignment. COLUMN=TARGET, as in mos=quality, compares a column of your own '
            "with that score of this package's metrics."
        ),
    ] = 'quality',
    split: Annotated[
        str | None,
        typer.Option(
            help='Some of the rows only: COLUMN=VALUE, as in prompt_0=test; baselines learn from COLUMN=train.'
        ),
    ] = None,
    published: Annotated[bool, typer.Option('--published', help="Show others' published figures below.")] = False,
    crops: Crops = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    output: Annotated[
        Path, typer.Option('--output', '-o', help='Folder for tables, page and scores; a second run goes on there.')
    ] = Path('leaderboard'),
) -> None:
    """Compare metrics on data sets with MOS: correlations with intervals, pairs within a prompt, ties, a report.

    --crops, --dtype and --fast are for this package's metrics, --device is for all.

    Exit code: 0 all rows have figures, 1 some have not, 2 usage.
    """
    from .leaderboard import command

    try:
        options = {'crops': crops, 'device': device, 'dtype': dtype, 'fast': fast or None}
        missing = command.leaderboard(_listed(metrics), data, _listed(target), split, published, options, output)
    except (ValueError, OSError) as error:
        fail(error)
    except KeyboardInterrupt:
        fail(f'stopped; the scores in {output} are kept, the same command goes on from there.', 130)
    raise typer.Exit(SOME_FAILED if missing else 0)


@app.command()
def explain(
    image: Annotated[str, typer.Argument(help='An image.')],
    prompt: Annotated[str | None, typer.Option(help='Its prompt.')] = None,
    prompts: Prompts = None,
    prompt_from: PromptFrom = Place.auto,
    target: Target = None,
    crops: Crops = None,
    weights: Weights = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    output: Annotated[Path, typer.Option('--output', '-o', help='.png, .pdf or .svg.')] = Path('explain.png'),
    as_json: Annotated[bool, typer.Option('--json', help='Print the numbers as JSON, too.')] = False,
    places: Annotated[bool, typer.Option(help='Draw what each place gives; that is about 49 scores more.')] = True,
) -> None:
    """Draw where an image's score comes from: its crops and places, the prompt's words, the experts.

    Places are blurred and words left out one at a time; what that takes from the score is what they gave to it.
    """
    from .scoring import explain_command

    try:
        options = _options(target, crops, weights, device, dtype, fast)
        explain_command.explain(image, _choice(prompt, prompts, prompt_from), output, options, as_json, places)
    except (ValueError, OSError) as error:
        fail(error)


@app.command()
def compare(
    one: Annotated[Path, typer.Argument(help='Folder of the one generator.')],
    other: Annotated[Path, typer.Argument(help='Folder of the other generator.')],
    prompt: Prompt = None,
    prompts: Prompts = None,
    prompt_from: PromptFrom = Place.auto,
    metric: Metric = 'moeagiqa',
    target: Target = None,
    crops: Crops = None,
    weights: Weights = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    output: Annotated[
        Path, typer.Option('--output', '-o', help='Folder for table, page and scores; a second run goes on there.')
    ] = Path('compare'),
) -> None:
    """Compare two generators on the same prompts: who wins how often, by how much, and whether that may be chance.

    Images pair by prompt; without prompts, or with one for all, by file name.
    Exit code: 0 all images were scored, 1 some were not, 2 usage.
    """
    from .leaderboard import compare_command

    try:
        options = {'pretrained_model_path': weights, 'target': target, 'crops': crops, 'device': device}
        options |= {'dtype': dtype, 'fast': fast or None}
        failed = compare_command.compare((one, other), _choice(prompt, prompts, prompt_from), metric, options, output)
    except (ValueError, OSError) as error:
        fail(error)
    except KeyboardInterrupt:
        fail(f'stopped; the scores in {output} are kept, the same command goes on from there.', 130)
    raise typer.Exit(SOME_FAILED if failed else 0)


@app.command()
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
    from .checkpoints import convert_released

    try:
        typer.echo(convert_released(finetuned, prior, visual, output, dataset, mos_range=mos_range))
    except (ValueError, OSError) as error:
        fail(error)


@app.command()
def export(
    output: Annotated[Path, typer.Argument(help='The .onnx file to write.')],
    weights: Annotated[
        str, typer.Option(help='A checkpoint: model name, file, https://... or hf://owner/repo/file.')
    ] = 'moeagiqa',
    crops: Annotated[int | None, typer.Option(min=1, help='Crops per image; default: as it was tested.')] = None,
) -> None:
    """Write a checkpoint's network as ONNX, for programs without torch."""
    from .checkpoints import export as write_onnx

    try:
        typer.echo(write_onnx(output, weights, crops))
    except (ValueError, OSError) as error:
        fail(error)


@weights_app.command('install')
def install_weights(
    files: Annotated[list[Path], typer.Argument(help='Checkpoints of moeagiqa-v1 or moeagiqa-v2, or ImageReward.pt.')],
) -> None:
    """Put checkpoints where their model name finds them."""
    from .checkpoints import install

    for file in files:
        try:
            typer.echo(install(file))
        except (ValueError, OSError) as error:
            fail(error)


@weights_app.command('list')
def list_weights() -> None:
    """Show what is where, with figures, hash and licence."""
    from .checkpoints.listing import list_weights
    from .console import console

    console().print(list_weights())


def main() -> None:
    """Entry point of the ``moeagiqa`` command."""
    accept_any_text()
    warnings.filterwarnings('ignore', module='PIL')  # they do not name the file
    app()


if __name__ == '__main__':
    main()
