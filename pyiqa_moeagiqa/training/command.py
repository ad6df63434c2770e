"""``moeagiqa train``: one run, or one per seed and split, and the table at the end."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..console import console
from ..data.options import table_names
from ..data.splits import SEEDS
from ..distributed import rank
from ..options import OptionError
from ..whole_file import require_place
from .option_file import read_options
from .results import as_table, summarise
from .run import run
from .run_folder import write_text

TEN_SPLITS = {kind: [f'{kind}_{seed}' for seed in SEEDS] for kind in ('image', 'prompt')}


def train(
    file: Path,
    changes: Sequence[str],
    output: Path | None,
    seeds: Sequence[str],
    splits: Sequence[str],
    fresh: bool,
    tables: Sequence[Path] = (),
) -> None:
    """Train as an option file says, print the figures and write them to ``results.csv``.

    The best network is measured on the whole of each of ``tables``, too.

    Raises:
        ValueError, FloatingPointError: with a message of one sentence.
    """
    options = read_options(file, changes)
    for table in tables:
        measure_on(options, table)
    folder = output or Path('experiments') / options['name']
    require_place(folder / 'results.csv')
    results = {name: run(one, folder / name, fresh) for name, one in variants(options, seeds, splits).items()}
    if rank() == 0:
        summary = summarise(results, options.get('published', {}))
        write_text(folder / 'results.csv', summary.to_csv(index=False))
        console().print(as_table(summary))
        console().print(f'Networks, logs and results.csv are in {folder}.')


def variants(options: Mapping[str, Any], seeds: Sequence[str], splits: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Map each run's folder name to its options: one run for every pair of seed and split.

    The splits 'image' and 'prompt' stand for all ten of that kind, such as image_0 to image_9.
    """
    splits = [column for name in splits for column in TEN_SPLITS.get(name, [name])]
    for option, values in (('--seeds', seeds), ('--splits', splits)):
        if len(set(values)) < len(values):
            raise OptionError(f'{option} has {",".join(values)!r}: name each once.')
    runs = {}
    for seed in seeds or ['']:
        for split in splits or ['']:
            one, name = copy.deepcopy(dict(options)), []
            if seeds:
                one['manual_seed'] = _seed(seed)
                name.append(f'seed{seed}')
            if splits:
                _split_by(one, split)
                name.append(split)
            runs['-'.join(name) or '.'] = one
    return runs


def measure_on(options: dict[str, Any], table: Path) -> None:
    """Add a table as a test set that is named after it."""
    tests = options.setdefault('test', {})
    if table.stem in (*table_names(options['datasets']['train']['meta_info_file']), *tests):
        raise OptionError(
            f'--eval {table}: the run has a data set of this name already; name another table, or rename it.'
        )
    tests[table.stem] = {'meta_info_file': str(table), 'split': 'all'}


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise OptionError(f'--seeds has {text!r}: seeds are whole numbers from 0, as in 1,2,3.')
    return int(text)


def _split_by(options: dict[str, Any], column: str) -> None:
    for data in options['datasets'].values():
        data['split_column'] = column
    for data in options.get('test', {}).values():
        if 'meta_info_file' not in data:  # a test set with a table of its own keeps its split column
            data['split_column'] = column
