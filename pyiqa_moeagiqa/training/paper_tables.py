"""The paper's tables: the option files that are their rows, and the runs that the rows need."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..checkpoints.start import network_config
from ..data.info import shared_folder
from .command import variants
from .option_file import read_options
from .run_folder import RunFolder

TITLES = {
    'main': 'Both versions on each data set',
    'table4': 'Table 4: v2 trained on one data set, tested on the whole of others',
    'table5': 'Table 5: branches, experts and prior on AIGCIQA2023',
    'table7': 'Table 7: layers of the visual encoder on AIGCIQA2023',
    'table8': 'Table 8: frozen share of the semantic encoder on AIGCIQA2023',
    'table9': 'Table 9: number of experts, and of those chosen, on AIGCIQA2023',
}
SETS = ('agiqa1k', 'agiqa3k', 'aigciqa2023', 'aigiqa20k')
MAIN = tuple(f'{version}_{name}.yml' for name in SETS for version in ('v1', 'v2'))
OTHER_FILE = {'v2_agiqa3k.yml': 'moeagiqa.yml'}
PRIOR = 'moeagiqa_prior.yml'
Options = dict[str, Any]


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        name: what differs from the other rows.
        tests: the data sets that it is measured on.
        published: data set -> metric -> value.
        folders: those of its runs.
    """

    name: str
    tests: list[str]
    published: dict[str, dict[str, float]]
    folders: list[Path]


def rows_and_runs(
    table: str, data: Path, output: Path, seeds: Sequence[str], splits: Sequence[str]
) -> tuple[list[Row], dict[Path, Options]]:
    """Return a table's rows, and the options of each run by its folder in ``output``.

    Rows of any table that are the same training share a folder, which is named after the first of them. Such a run is
    measured on the test sets of all rows of this table that share it.
    """
    first: dict[str, Options] = {}
    for file in (file for name in TITLES for file in _files(name)):
        options = _read(file, data)
        first.setdefault(identity(options), options)
    rows: list[Row] = []
    runs: dict[Path, Options] = {}
    for file in _files(table):
        options = _read(file, data)
        shared, folders = first[identity(options)] | {'test': options['test']}, []
        for one in variants(shared, seeds, splits).values():
            split = one['datasets']['train']['split_column']
            folder = output / one['name'] / f'{split}-seed{one["manual_seed"]}'
            folders.append(folder)
            runs.setdefault(folder, one)['test'] |= one['test']
        name = options['name'].removeprefix(f'{table}_').replace('_', ' ')
        rows.append(Row(name, list(options['test']), options.get('published', {}), folders))
    return rows, runs


def _files(table: str) -> list[Path]:
    folder = shared_folder('options')
    if table == 'main':
        return [folder / OTHER_FILE.get(name, name) for name in MAIN]
    return sorted((folder / table).glob('*.yml'))


def _read(file: Path, data: Path) -> Options:
    """Read one of the shipped option files, with its tables taken from the folder ``data``."""
    options = read_options(file)
    for section in sections_with_table(options):
        table = Path(section['meta_info_file'])
        if table.parent != data:
            section['meta_info_file'] = str(data / table.name)
    return options


def sections_with_table(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the data sets of a run that name a table."""
    sections = (*options['datasets'].values(), *options['test'].values())
    return [section for section in sections if 'meta_info_file' in section]


def identity(options: Mapping[str, Any]) -> str:
    """All that a run's network depends on, as text: equal for option files that are one run under several names."""
    training = {name: value for name, value in options.items() if name not in ('name', 'test', 'published')}
    network = options['network']
    whole = network_config(network).to_dict()  # an option that is written out can be another file's default
    return json.dumps(training | {'network': whole | {'weights': network['weights']}}, sort_keys=True)


def needs_prior(options: Mapping[str, Any]) -> bool:
    """Whether a run starts from the pre-trained prior."""
    return 'prior' in options['network']['weights']


def prior_run(runs: Iterable[Mapping[str, Any]], data: Path) -> dict[Path, Options]:
    """The run that pre-trains the prior, by its folder; empty if no run needs it or its checkpoint is there.

    It stands where the option files look for it, so that "moeagiqa train" finds it, too.
    """
    for file in {Path(options['network']['weights']['prior']) for options in runs if needs_prior(options)}:
        folder = file.parents[1]  # of experiments/NAME/models/net_best.safetensors
        if RunFolder(folder).was_cut or not file.is_file():
            return {folder: _read(shared_folder('options') / PRIOR, data)}
    return {}
