"""Several runs of one command: what they would do, what they need, and making them one by one or on several GPUs."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..console import console, plain
from ..data.table import TableError
from ..distributed import gather_objects, processes, rank
from ..options import OptionError, first_line
from .on_gpus import on_gpus
from .option_file import as_the_trainer_parses
from .required import fetch, missing, to_fetch
from .run import run, start_processes
from .run_folder import RunFolder

Runs = Mapping[Path, Mapping[str, Any]]
# A process that goes on alone after an error would leave the others waiting, so these must meet all processes alike.
COMMON = (OptionError, TableError, FloatingPointError)


def make_ready(name: str, runs: Runs, todo: Runs, output: Path, dry_run: bool) -> None:
    """Start the processes and download what is missing; with ``dry_run`` print instead what would be done.

    Args:
        name: what the runs are for, in words.
        runs: the options of all runs, by folder.
        todo: the runs that are not finished, and those that they wait for.
        output: folder of the runs.
        dry_run: whether nothing is to be done.

    Raises:
        OptionError: listing the files that are missing and cannot be downloaded.
    """
    start_processes(as_the_trainer_parses(next(iter(runs.values())), output))
    if dry_run and rank() == 0:
        _show_plan(runs, todo)
    lacking = missing(todo.values())
    if not lacking and not dry_run and rank() == 0:
        lacking = fetch(todo.values())
    if lacking := gather_objects(lacking)[0]:
        raise OptionError(f'{name} needs files that are missing: {"; ".join(lacking)}.')


def _show_plan(runs: Runs, todo: Runs) -> None:
    for folder in {**todo, **runs}:
        state = 'finished' if folder not in todo else 'goes on' if RunFolder(folder).goes_on else 'to train'
        console().print(plain(f'{state}  {folder}'), soft_wrap=True)
    for name in to_fetch(todo.values()):
        console().print(plain(f'to download  {name}'), soft_wrap=True)


def make(runs: Runs, gpus: list[str], may_start: Callable[[Path], bool]) -> Iterator[tuple[Path, str]]:
    """Make the runs, as many at a time as there are ``gpus``; without them one by one, here or in all processes of torchrun.

    Args:
        runs: the options of each run, by its folder.
        gpus: see ``on_gpus.names_of``.
        may_start: asked before a run starts; once it says no, no further run starts.

    Yields:
        The folder of each run that ended, and why it failed; '' if it did not.
    """
    return on_gpus(runs, gpus, may_start) if gpus else _one_by_one(runs, may_start)


def _one_by_one(runs: Runs, may_start: Callable[[Path], bool]) -> Iterator[tuple[Path, str]]:
    for folder, options in runs.items():
        if not may_start(folder):
            return
        reason = ''
        try:
            run(dict(options), folder)
        except Exception as error:
            if processes() > 1 and not isinstance(error, COMMON):
                raise
            known = isinstance(error, (ValueError, OSError, FloatingPointError))
            reason = first_line(error) if known else f'{type(error).__name__}: {first_line(error)}'
        yield folder, reason
