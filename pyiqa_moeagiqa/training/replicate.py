"""``moeagiqa replicate``: train every row of one of the paper's tables, and show the published figures beside ours."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..console import console, plain, say
from ..distributed import barrier, gather_objects, rank
from ..options import OptionError
from ..whole_file import require_place
from .on_gpus import names_of
from .paper_tables import TITLES, Options, Row, needs_prior, prior_run, rows_and_runs
from .replica import as_table, compare, write
from .run_folder import RunFolder
from .scatter import draw_scatters
from .several_runs import make, make_ready


def replicate(
    table: str,
    data: Path,
    output: Path,
    seeds: Sequence[str],
    splits: Sequence[str],
    budget: float | None = None,
    gpus: int | None = None,
    dry_run: bool = False,
) -> bool:
    """Train the rows of a table; finished runs are read, cut ones go on.

    Args:
        table: a key of ``TITLES``; of the paper's other tables and of its figures, no rows are known.
        data: folder of prepared tables.
        output: folder of the runs; the report is written into the folder ``table`` in it.
        seeds, splits: as for ``variants``.
        budget: hours after which no further run is started.
        gpus: number of runs that are trained at the same time, each on a GPU of its own; None trains one after another.
        dry_run: show what would be done, and do nothing.

    Returns:
        Whether a run failed.

    Raises:
        OptionError: for another table, or if the runs need files that are missing.
    """
    if table not in TITLES:
        raise OptionError(
            f'{table}: it cannot be made, because this package has no record of what its rows are; there are {", ".join(TITLES)}.'
        )
    names = names_of(gpus) if gpus else []
    rows, runs = rows_and_runs(table, data, output, seeds, splits)
    todo = {folder: options for folder, options in runs.items() if _result(folder, options) is None}
    prior = prior_run(todo.values(), data)
    todo = prior | todo
    make_ready(table, runs, todo, output, dry_run)
    if dry_run:
        return False
    return Replication(table, rows, runs, output).make(todo, list(prior), budget, names)


def _result(folder: Path, options: Options) -> dict[str, Any] | None:
    try:
        return RunFolder(folder).result(options)
    except OptionError:  # the run then fails with it, and costs its row
        return None


class Replication:
    """The runs of one table, their results and what has failed."""

    def __init__(self, table: str, rows: list[Row], runs: Mapping[Path, Options], output: Path):
        self.title, self.rows, self.output = TITLES[table], rows, output / table
        found = {folder: _result(folder, options) for folder, options in runs.items()}
        self.figures = {folder: result['figures'] for folder, result in found.items() if result}
        self.failed: dict[Path, str] = {}
        if rank() == 0:
            require_place(self.output / 'replicate.csv')

    def make(self, todo: Mapping[Path, Options], prior: list[Path], budget: float | None, gpus: list[str]) -> bool:
        """Make the runs of ``todo``; those that need the prior fail with it. Return whether one failed.

        Without ``gpus`` they are made one after another, by this process or by all that torchrun started.
        """
        self._write()
        end, self.left = time.monotonic() + 3600 * (math.inf if budget is None else budget), list(todo)

        def may_start(folder: Path) -> bool:
            if gather_objects(time.monotonic() >= end)[0]:  # by the first process's clock
                return False
            self.left.remove(folder)
            if rank() == 0:
                say(f'Run {len(todo) - len(self.left)} of {len(todo)}: {folder}')
            return True

        self._make({folder: todo[folder] for folder in prior}, gpus, may_start)
        rest = {folder: options for folder, options in todo.items() if folder not in prior}
        for lost in self.failed.keys() & set(prior):
            for folder in [folder for folder, options in rest.items() if needs_prior(options)]:
                self.failed[folder] = f'the prior failed, see {lost}'
                self.left.remove(folder)
                del rest[folder]
        if len(self.left) == len(rest):  # the budget allowed the prior
            self._make(rest, gpus, may_start)
        if rank() == 0:
            for folder in self.figures:
                draw_scatters(folder)
            self._show(self.left)
        barrier()  # torchrun stops the first process as soon as another ends with a failure
        return bool(self.failed)

    def _make(self, runs: Mapping[Path, Options], gpus: list[str], may_start: Callable[[Path], bool]) -> None:
        for folder, reason in make(runs, gpus, may_start):
            if reason:
                self.failed[folder] = reason
            elif result := _result(folder, runs[folder]):
                self.figures[folder] = result['figures']
            self._write()

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
        console().print("Each run's folder has predictions.csv, and scatter-DATA.png drawn from it.", soft_wrap=True)
        console().print(plain(f'The table is in {self.output} as replicate.md, .csv and .tex.'), soft_wrap=True)
