"""``moeagiqa recipe``: train several networks on a data set, and keep the one that validation prefers as one file."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..checkpoints.complete import whole
from ..checkpoints.file import save
from ..console import console, plain, say
from ..data.columns import find_column, there_are
from ..data.info import shared_folder
from ..data.table import read_table
from ..distributed import barrier, rank
from ..options import OptionError
from ..whole_file import require_place
from .command import measure_on
from .on_gpus import names_of
from .option_file import read_options
from .results import as_table
from .run_folder import BEST, RunFolder, write_text
from .several_runs import make, make_ready

# Of each recipe the option files in ``options/``, and the figure of the validation split that chooses among their networks.
RECIPES = {'strong': ('siglip2_agiqa3k.yml', 'clip_l_agiqa3k.yml', 'dinov3_agiqa3k.yml')}
KEY = 'main_score'
SPLIT = 'prompt_5folds_seed0_0'  # for a table that has no column of splits


def recipe(
    name: str,
    data: str,
    output: Path | None,
    tables: Sequence[Path] = (),
    gpus: int | None = None,
    dry_run: bool = False,
) -> bool:
    """Train a recipe's networks; finished runs are read, cut ones go on.

    Args:
        name: a key of ``RECIPES``.
        data: name of a prepared table in ``datasets/``, or the path of a table.
        output: folder of the runs.
        tables: other tables, on the whole of which each network is measured, too.
        gpus: number of runs that are trained at the same time; None trains one after another.
        dry_run: show what would be done, and do nothing.

    Returns:
        Whether a run failed.

    Raises:
        OptionError: if the runs need what is missing, or all fail.
    """
    names = names_of(gpus) if gpus else []
    table = Path(data) if Path(data).suffix else Path('datasets', f'{data}.csv')
    output = output or Path('experiments', f'{name}_{table.stem}')
    files = [shared_folder('options') / file for file in RECIPES[name]]
    runs = {output / file.stem: _on_table(read_options(file), table) for file in files}
    for options, other in itertools.product(runs.values(), tables):
        measure_on(options, other)
    todo = {folder: options for folder, options in runs.items() if RunFolder(folder).result(options) is None}
    best = output / f'{name}.safetensors'
    make_ready(name, runs, todo, output, dry_run)
    if dry_run:
        return False
    if rank() == 0:
        require_place(best)
    failed = _train(todo, names)
    if rank() == 0:
        for folder, reason in failed.items():
            console().print(plain(f'{folder} failed: {reason}'), soft_wrap=True)
        _conclude(runs, best)
    barrier()  # torchrun stops the first process as soon as another ends with a failure
    return bool(failed)


def _on_table(options: dict[str, Any], table: Path) -> dict[str, Any]:
    """The options with another table for all data sets, with those of their targets that it has, and a split that it can have."""
    if table.is_file():
        there, wanted = list(read_table(table, ['path', 'prompt']).columns), options['network']['targets']
        targets = [target for target in wanted if find_column(there, target) is not None]
        if not targets:
            raise OptionError(f'{table}: it has no column {wanted[0]!r}; {there_are(there, wanted[0])}.')
        options['network']['targets'] = targets
        for section in options['datasets'].values():
            section['split_column'] = section['split_column'] if section['split_column'] in there else SPLIT
    for section in options['datasets'].values():
        section['meta_info_file'] = str(table)
    options['test'] = {f'{table.stem}_test': {'split': 'test'}}
    return options


def _train(todo: Mapping[Path, dict[str, Any]], gpus: list[str]) -> dict[Path, str]:
    """Make the runs; return the reason of each that failed."""
    begun: list[Path] = []

    def may_start(folder: Path) -> bool:
        begun.append(folder)
        if rank() == 0:
            say(f'Run {len(begun)} of {len(todo)}: {folder}')
        return True

    return {folder: reason for folder, reason in make(todo, gpus, may_start) if reason}


def _conclude(runs: Mapping[Path, dict[str, Any]], target: Path) -> None:
    """Show all figures, and write the network with the best figures of validation as one file."""
    results = {folder: result for folder, options in runs.items() if (result := RunFolder(folder).result(options))}
    if not results:
        raise OptionError(f'{target.parent}: no network was trained; see train.log in its folders.')
    rows = [
        {'run': folder.name, 'data': data, **figures}
        for folder, result in results.items()
        for data, figures in result['figures'].items()
    ]
    write_text(target.with_name('results.csv'), pd.DataFrame(rows).to_csv(index=False))
    console().print(as_table(pd.DataFrame(rows)))
    chosen = max(results, key=lambda folder: _of_validation(results[folder])[KEY])
    save(whole(chosen / BEST), target)
    say_where = (
        f'{chosen.name} is best on the validation split, which chose it; the test split chose nothing.',
        f"Written: {target}. Use it with --weights, or as pyiqa.create_metric('moeagiqa', pretrained_model_path='{target}').",
    )
    for line in say_where:
        console().print(plain(line), soft_wrap=True)


def _of_validation(result: Mapping[str, Any]) -> dict[str, float]:
    """The figures of the first data set, which is that of validation."""
    return next(iter(result['figures'].values()))
