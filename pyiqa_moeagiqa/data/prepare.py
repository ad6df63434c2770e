"""``moeagiqa prepare``: turn a data set's official download into the one table that training reads."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ..images.files import ENDINGS
from ..whole_file import whole_file
from .info import description
from .official import read_official
from .pictures import for_each, problem_of
from .splits import read_splits, split_columns
from .table import Check, TableError, as_numbers, mos_checks, require


class Prepared(NamedTuple):
    """The table as it was written, and notes for its user, one sentence each."""

    table: pd.DataFrame
    notes: list[str]


def prepare(name: str, source: Path | str, output: Path | str, partial: bool = False) -> Prepared:
    """Write a data set as one CSV: path, prompt, generator, its targets, their deviations, and all split columns.

    Args:
        name: name of the data set, as in ``datasets_meta/``.
        source: the folder of the download; annotation files and images may lie in folders in it.
        output: the CSV to write; the paths in it are relative to its folder.
        partial: leave out rows whose image is missing.

    Raises:
        TableError: for a missing file or column, wrong rows, and missing or damaged images; no table is written then.
    """
    source, output, info = Path(source), Path(output), description(name)
    if output.suffix.lower() != '.csv':
        raise TableError(f'{output}: the table to write must end in .csv.')
    official = read_official(name, source)
    _check_rows(official, info)
    notes = _check_counts(official, info)
    paths = _find_images(source, official)
    there = paths.notna()
    notes += _check_missing(source, official, there, partial)
    official, paths = official[there].reset_index(drop=True), paths[there].reset_index(drop=True)
    _check_images(official, paths)
    splits = read_splits(name)
    notes += _check_splits(official, splits)
    table = _as_table(official, paths, output.parent.resolve(), info['targets']).join(split_columns(official, splits))
    _write(table, output)
    return Prepared(table, notes)


def _check_rows(official: pd.DataFrame, info: Mapping[str, Any]) -> None:
    columns = info['columns']
    name, prompt = columns['path'], columns.get('prompt', 'prompt')
    rows = official.rename(columns=columns | {'name': name})  # the user knows the columns of the official file
    deviations = [columns[column] for column in official.columns if column.endswith('_std')]
    has_no_prompts = info['prompts'] == 0
    _require(
        rows,
        Check(~rows[name].duplicated(keep=False), 'the same image appears twice', name),
        Check((rows[prompt].str.strip() != '') | has_no_prompts, 'the prompt is empty', prompt),
        *mos_checks(rows, [columns[target] for target in info['targets']], info['mos_range']),
        *[Check(as_numbers(rows[std]).notna(), f'column {std!r} holds no number', std) for std in deviations],
    )


def _require(official: pd.DataFrame, *checks: Check) -> None:
    """Run ``table.require`` on rows that come from one or several files, file by file."""
    goods = [pd.Series(list(check.good), index=official.index) for check in checks]
    for file, rows in official.groupby('file', sort=False):
        of_file = [check._replace(good=good[rows.index]) for check, good in zip(checks, goods, strict=True)]
        require(str(file), rows, *of_file, numbers=rows['row'].tolist())


def _check_counts(official: pd.DataFrame, info: Mapping[str, Any]) -> list[str]:
    """Raise a TableError for more images or prompts than published; note fewer images: a part of the set is allowed."""
    file, counts = official['file'][0], {'images': len(official), 'prompts': official['prompt'].nunique()}
    for kind, count in counts.items():
        if info[kind] and count > info[kind]:
            raise TableError(f'{file}: it has {count} {kind}, but {info[kind]} are published; download it again.')
    if len(official) == info['images']:
        return []
    return [f'{file}: {len(official)} of the {info["images"]} published images are annotated.']


def _find_images(source: Path, official: pd.DataFrame) -> pd.Series:
    """Find the image file of every row; a row without one gets a missing value.

    Raises:
        TableError: if two files below the folder have the name of one row.
    """
    files = defaultdict(list)
    for path in sorted(source.rglob('*')):
        if path.suffix.lower() in ENDINGS:
            files[path.name].append(path)
            files[_key(path.parent.name, path.name)].append(path)
    found = official['name'].map(lambda name: files.get(_name_key(name)))
    if 'other_name' in official:
        found = found.where(found.notna(), official['other_name'].map(lambda name: files.get(_name_key(name))))
    for paths in found.dropna():
        if len(paths) > 1:
            raise TableError(f'{source}: {paths[0].name} appears twice ({paths[0]}, {paths[1]}); move one away.')
    return found.map(lambda paths: paths[0], na_action='ignore')


def _name_key(name: str) -> str:
    folder, _, file = name.rpartition('/')
    return _key(folder, file) if folder else file


def _key(folder: str, file: str) -> str:
    """Join folder and file, with only lower-case letters and digits of the folder.

    The spelling of generators' folders varies: stable-diffusion, Stable_Diffusion.
    """
    return f'{"".join(filter(str.isalnum, folder.lower()))}/{file}'


def _check_missing(source: Path, official: pd.DataFrame, there: pd.Series, partial: bool) -> list[str]:
    missing = official['name'][~there]
    if missing.empty:
        return []
    if not there.any():
        raise TableError(f'{source}: none of the {len(official)} images is in this folder or below it.')
    if not partial:
        raise TableError(
            f'{source}: {len(missing)} of {len(official)} images are not in this folder or below it (the first is '
            f'{missing.iloc[0]}); add them, or leave their rows out by --partial.'
        )
    return [f'{source}: {len(missing)} of {len(official)} rows are left out, because their images are missing.']


def _check_images(official: pd.DataFrame, paths: Iterable[Path]) -> None:
    problems = for_each(list(paths), problem_of)
    whole = [problem is None for problem in problems]
    first = next(filter(None, problems), None)
    _require(official, Check(whole, f'the image cannot be read (the first: {first})', 'name'))


def _check_splits(official: pd.DataFrame, splits: pd.DataFrame) -> list[str]:
    unknown = ~official['name'].isin(splits.index)
    if not unknown.any():
        return []
    return [f'{unknown.sum()} rows belong to no image or prompt split, because the splits were made without them.']


def _as_table(official: pd.DataFrame, paths: pd.Series, folder: Path, targets: list[str]) -> pd.DataFrame:
    deviations = [f'{target}_std' for target in targets if f'{target}_std' in official]
    numbers = {column: as_numbers(official[column]) for column in [*targets, *deviations]}
    relative = [os.path.relpath(path.resolve(), folder) for path in paths]
    texts = {column: official[column] for column in ('prompt', 'generator', 'style') if column in official}
    return pd.DataFrame({'path': relative, **texts, **numbers})


def _write(table: pd.DataFrame, output: Path) -> None:
    try:
        with whole_file(output) as part:
            table.to_csv(part, index=False)
    except OSError as error:  # its own text would name the part file
        raise TableError(f'{output}: it cannot be written ({error.strerror}); name another output.') from None
