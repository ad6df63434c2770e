"""Takes part with the scores that a training run left, ``predictions.csv``: its images are not scored again."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ..data.table import Check, TableError, as_numbers, locate, read_table, require
from ..options import OptionError, shown
from ..spreadsheet import as_meant
from .contestants import Contestant
from .entry import Entry
from .rated import Rated
from .scored import without_gaps
from .targets import Asked, target_for

NO_TARGETS = ('data', 'path', 'prompt')
SAME = 1e-4  # scores of one image that a run measured twice, in batches of other sizes; MOS in another number format


def predicted(contestant: Contestant, empty: Mapping[Asked, Entry], rated: Rated) -> Iterator[Entry]:
    """A run's entries, one for each target of a data set; one that its file cannot fill says why.

    Args:
        contestant: its ``weights`` are the path of the file.
        empty: the entries before.
        rated: the data set. Images are the same if their files are.
    """
    file = str(contestant.weights)
    try:
        rows = _read(file)
    except TableError as error:
        yield from (replace(entry, reason=str(error)) for entry in empty.values())
        return
    images = [os.path.realpath(path) for path in rated.table['path']]
    found = rows.reindex(images).reset_index(drop=True)
    failed = [
        f'{path}: {file} has no row for it; --split takes some of the rows, as in prompt_0=test'
        for path, there in zip(rated.table['path'], found['data'].notna(), strict=True)
        if not there
    ]
    measured = ', '.join(map(str, dict.fromkeys(found['data'].dropna())))
    for asked, entry in empty.items():
        try:
            target = target_for(_targets(rows.columns), asked)
            _require_same_prompts(file, found, rated)
            _require_same_mos(file, found, target, rated, asked)
        except (OptionError, TableError) as error:
            yield replace(entry, reason=str(error))
            continue
        own = found[_score(target, rows.columns)].tolist()
        name = f'{contestant.label} {target}'
        how = f'scores of {measured} in {file}'
        yield without_gaps(replace(entry, how=how, own=own, own_name=name), rated, asked, failed)


def _read(file: str) -> pd.DataFrame:
    """The file's rows by the real path of their image, with one row for each.

    Raises:
        TableError: for a file that is no such table, and an image with two different scores.
    """
    table = read_table(file, ['data', 'path', 'prompt', 'score'])
    numbers = {name: as_numbers(table[name]) for name in table.columns if name not in NO_TARGETS}
    scores = [name for name in numbers if name.startswith('score')]
    require(file, table, *(Check(numbers[name].notna(), f'column {name!r} holds no number', name) for name in scores))
    places, _ = locate([as_meant(str(path)) for path in table['path']], [Path(file).parent, Path()])
    prompts = [as_meant(str(prompt)) for prompt in table['prompt']]
    paths = [os.path.realpath(place or '') for place in places]
    rows = table[['data']].assign(**numbers, prompt=prompts, path=paths)
    spread = rows.groupby('path')[scores].transform(lambda score: score.max() - score.min()).max(axis=1)
    require(file, table, Check(spread <= SAME, 'an image has several scores', 'path'))
    return rows.drop_duplicates('path').set_index('path')


def _targets(columns: Collection[str]) -> list[str]:
    """The run's targets: the columns of MOS."""
    return [name for name in columns if name not in NO_TARGETS and not name.startswith('score')]


def _score(target: str, columns: Collection[str]) -> str:
    """The column of a target's scores; that of the first target is ``score``."""
    own = f'score_{target}'
    return own if own in columns else 'score'


def _require_same_prompts(file: str, found: pd.DataFrame, rated: Rated) -> None:
    """Raise a TableError if the run scored an image for another prompt; how many spaces a prompt has does not matter."""
    for path, before, now in zip(rated.table['path'], found['prompt'], rated.table['prompt'], strict=True):
        if isinstance(before, str) and before.split() != now.split():
            raise TableError(
                f'{file}: {path} has the prompt {shown(before)} there, and {shown(now)} in the table; name the table of the run'
            )


def _require_same_mos(file: str, found: pd.DataFrame, target: str, rated: Rated, asked: Asked) -> None:
    """Raise a TableError if the run had other MOS of the same name, as then one of the two tables is not what it seems."""
    if target != asked.column:
        return
    theirs, ours = found[target].to_numpy(), rated.table[target].to_numpy()
    low, high = rated.mos_range
    for path, before, now in zip(rated.table['path'], theirs, ours, strict=True):
        if abs(before - now) > SAME * (high - low):
            raise TableError(
                f'{file}: {path} has {target} {before:g} there, and {now:g} in the table; name the table of the run'
            )
