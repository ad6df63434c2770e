"""``moeagiqa replicate``: train every row of one of the paper's tables, and show the published figures beside ours."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..console import console, plain, say
from ..data.table import TableError
from ..distributed import barrier, gather_objects, processes, rank
from ..options import OptionError, first_line
from ..whole_file import require_place
from .option_file import as_the_trainer_parses
from .paper_tables import TITLES, Options, Row, missing, needs_prior, prior_run, rows_and_runs
from .replica import as_table, compare, write
from .run import run, start_processes
from .run_folder import RunFolder

# A process that goes on alone after an error would leave the others waiting, so these must meet all processes alike.
COMMON = (OptionError, TableError, FloatingPointError)


def replicate(
    table: str,
    data: Path,
    output: Path,
    seeds: Sequence[str],
    splits: Sequence[str],
    budget: float | None = None,
    dry_run: bool = False,
) -> bool:
    """Train the rows of a table one after another; finished runs are read, cut ones go on.

    Args:
        table: a key of ``TITLES``.
        data: folder of prepared tables.
        output: folder of the runs; the report is written into the folder ``table`` in it.
        seeds, splits: as for ``variants``.
        budget: hours after which no further run is started.
        dry_run: show what would be done, and do nothing.

    Returns:
        Whether a run failed.

    Raises:
        OptionError: if the runs need files that are missing.
    """
    rows, runs = rows_and_runs(table, data, output, seeds, splits)
    todo = {folder: options for folder, options in runs.items() if _result(folder, options) is None}
    prior = prior_run(todo.values(), data)
    todo = prior | todo
    start_processes(as_the_trainer_parses(next(iter(runs.values())), output))
    if dry_run and rank() == 0:
        _show_plan(runs, todo)
    if lacking := missing(todo.values()):
        raise OptionError(f'{table} needs files that are missing: {", ".join(lacking)}.')
    if dry_run:
        return False
    return Replication(table, rows, runs, output).make(todo, list(prior), budget)


def _result(folder: Path, options: Options) -> dict[str, Any] | None:
    try:
        return RunFolder(folder).result(options)
    except OptionError:  # the run then fails with it, and costs its row
        return None


def _show_plan(runs: Mapping[Path, Options], todo: Mapping[Path, Options]) -> None:
    for folder in {**todo, **runs}:
        state = 'finished' if folder not in todo else 'goes on' if RunFolder(folder).goes_on else 'to train'
        console().print(plain(f'{state}  {folder}'), soft_wrap=True)


class Replication:
    """The runs of one table, their results and what has failed."""

    def __init__(self, table: str, rows: list[Row], runs: Mapping[Path, Options], output: Path):
        self.title, self.rows, self.output = TITLES[table], rows, output / table
        found = {folder: _result(folder, options) for folder, options in runs.items()}
        self.figures = {folder: result['figures'] for folder, result in found.items() if result}
        self.failed: dict[Path, str] = {}
        if rank() == 0:
            require_place(self.output / 'replicate.csv')

    def make(self, todo: Mapping[Path, Options], prior: list[Path], budget: float | None) -> bool:
        """Make the runs of ``todo``; those that need the prior fail with it. Return whether one failed."""
        self._write()
        end, left = time.monotonic() + 3600 * (math.inf if budget is None else budget), list(todo)
        for folder, options in todo.items():
            if gather_objects(time.monotonic() >= end)[0]:  # by the first process's clock
                break
            left.remove(folder)
            if rank() == 0:
                say(f'Run {len(todo) - len(left)} of {len(todo)}: {folder}')
            lost = [one for one in prior if one in self.failed and needs_prior(options)]
            self._make_one(folder, options, f'the prior failed, see {lost[0]}' if lost else '')
            self._write()
        if rank() == 0:
            self._show(left)
        barrier()  # torchrun stops the first process as soon as another ends with a failure
        return bool(self.failed)

    def _make_one(self, folder: Path, options: Options, lost: str) -> None:
        try:
            if lost:
                raise OptionError(lost)
            self.figures[folder] = run(options, folder)['figures']
        except Exception as error:
            if processes() > 1 and not isinstance(error, COMMON):
                raise
            known = isinstance(error, (ValueError, OSError, FloatingPointError))
            self.failed[folder] = first_line(error) if known else f'{type(error).__name__}: {first_line(error)}'

    def _write(self) -> None:
        if rank() == 0:
            write(self.output, self.title, compare(self.rows, self.figures), self.failed)

    def _show(self, left: Sequence[Path]) -> None:
        console().print(as_table(compare(self.rows, self.figures)))
        for folder, reason in self.failed.items():
            console().print(plain(f'{folder} failed: {reason}'), soft_wrap=True)
        if left:
            count = f'{len(left)} runs are' if len(left) > 1 else '1 run is'
            console().print(plain(f'{count} left, {left[0]} first; the same command goes on.'), soft_wrap=True)
        console().print(plain(f'The table is in {self.output} as replicate.md, .csv and .tex.'), soft_wrap=True)
