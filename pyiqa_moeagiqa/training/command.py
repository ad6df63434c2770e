"""``moeagiqa train``: one run, or one per seed and split, and the table at the end."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..console import console, plain
from ..data.options import table_names
from ..data.splits import SEEDS, columns_of_folds
from ..distributed import rank
from ..models.run_options import OPTIMISTIC, chooses_on_test
from ..options import OptionError
from ..whole_file import require_place
from .option_file import read_options
from .results import as_table, summarise, too_few
from .run import run
from .run_folder import RESULTS, RunFolder, write_text

TEN_SPLITS = {kind: [f'{kind}_{seed}' for seed in SEEDS] for kind in ('image', 'prompt')}


def train(
    file: Path,
    changes: Sequence[str],
    output: Path | None,
    seeds: Sequence[str],
    splits: Sequence[str],
    fresh: bool,
    tables: Sequence[Path] = (),
    folds: int | None = None,
    no_val: bool = False,
) -> None:
    """Train as an option file says, print the figures and write them to ``results.csv``.

    The best network is measured on the whole of each of ``tables``, too. With ``folds``, there is a run for each fold over
    prompts; with ``no_val``, validation rows are trained on and the best network is chosen on the test rows.

    Raises:
        ValueError, FloatingPointError: with a message of one sentence.
    """
    options = read_options(file, changes)
    for table in tables:
        measure_on(options, table)
    if no_val:
        options['datasets']['train']['split'], options['datasets']['val']['split'] = ['train', 'val'], 'test'
    if folds and splits:
        raise OptionError(
            f'--folds is {folds} and --splits is {",".join(splits)}: their mean would mix two protocols; give one of the two.'
        )
    splits = [f'prompt_{folds}folds_seed0'] if folds else splits
    folder = output or Path('experiments') / options['name']
    RunFolder(folder).require_no_others()
    require_place(folder / RESULTS)
    runs = variants(options, seeds, splits)
    results = {one['name'] if name == '.' else name: run(one, folder / name, fresh) for name, one in runs.items()}
    if rank() == 0:
        note = OPTIMISTIC if chooses_on_test(options) else ''
        summary = summarise(results, options.get('published', {}), note)
        write_text(folder / RESULTS, summary.to_csv(index=False))
        console().print(as_table(summary))
        for line in [*([note] if note else []), *too_few(results.values())]:
            console().print(plain(line), soft_wrap=True)
        console().print(f'Networks, logs and results.csv are in {folder}.')


def variants(options: Mapping[str, Any], seeds: Sequence[str], splits: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Map each run's folder name to its options: one run for every pair of seed and split.

    The splits 'image' and 'prompt' stand for all ten of that kind, such as image_0 to image_9, and prompt_5folds_seed0 for its
    five folds.
    """
    splits = [column for name in splits for column in _columns(name)]
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


def _columns(split: str) -> list[str]:
    """The split columns that a name stands for."""
    return columns_of_folds(split) or TEN_SPLITS.get(split, [split])


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
