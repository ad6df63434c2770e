"""``moeagiqa compare``: score two folders, pair their images, test the differences and show both side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from ..console import console, plain
from ..plugin import OURS
from ..scoring.by_content import known_scores, score_missing
from ..scoring.command import made_by, make_metric, say
from ..scoring.output import ScoreFile
from ..scoring.protocol import Metric
from ..scoring.result import content_of
from ..scoring.run import takes_prompts
from ..scoring.scale import scale_of
from ..scoring.sizes import size_note
from ..scoring.sources import Item, PromptChoice, SourceError, find_items, require_prompt
from ..spreadsheet import write_csv
from .compare_page import Report, write_comparison
from .comparison import compare_scores

COLUMNS = ['key', 'one', 'other', 'difference', 'images_one', 'images_other', 'path_one', 'path_other']


def compare(
    folders: tuple[Path, Path], prompts: PromptChoice, metric_name: str, options: Mapping[str, Any], output: Path
) -> int:
    """Score, pair, print, and write ``compare.csv`` and ``compare.html``; returns how many images could not be scored.

    Args:
        folders: of the two generators.
        prompts: where the images' prompts come from.
        options: of ``create_metric``, by name; those that are None are left out.
        output: folder; scores are kept there by image content, so that a second run computes only new ones.

    Raises:
        ValueError: for folders, prompts, metric or output that cannot be used, or if no images pair.
    """
    _check_folders(folders)
    items = list(find_items(folders, *prompts))
    if metric_name in OURS:
        items = list(require_prompt(items))
    items = [item._replace(prompt=known) for item, known in zip(items, _shared_prompts(items, folders), strict=True)]
    by_prompt = len({item.prompt for item in items} - {None}) > 1
    keys = [item.prompt if by_prompt and item.prompt is not None else _name(item, folders) for item in items]
    # dtype object, as a string type would refuse file names that are not UTF-8
    table = pd.DataFrame({'path': [str(item.path) for item in items], 'key': keys}, dtype=object)
    table['side'] = [_side(item, folders) for item in items]
    _check_pairs(table, by_prompt)  # fails before a large network is loaded
    metric = make_metric(metric_name, options)
    table['score'] = _score(metric, items, made_by(metric_name, metric), output / 'scores.parquet')
    scored = table.dropna(subset='score')
    _check_pairs(scored, by_prompt)
    comparison = compare_scores([scored[scored['side'] == side] for side in (0, 1)], metric.lower_better)
    names = _names(folders)
    write_csv(output / 'compare.csv', comparison.pairs[COLUMNS])
    paired = scored[scored['key'].isin(comparison.pairs['key'])]
    note = size_note((images for _, images in paired.groupby('key')['path']), metric_name)
    unit, scale = 'prompts' if by_prompt else 'file names', scale_of(metric)
    report = Report(comparison, names, metric_name, metric.lower_better, unit, scale, [note] if note else [])
    write_comparison(output / 'compare.html', report)
    _show(report, output)
    return len(table) - len(scored)


def _check_folders(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise SourceError(f'{folder}: there is no such folder; give the folders of two generators.')
    one, other = (folder.resolve() for folder in folders)
    if one == other or one in other.parents or other in one.parents:
        raise SourceError(f'{folders[0]} and {folders[1]}: one is inside the other; give two separate folders.')


def _side(item: Item, folders: tuple[Path, Path]) -> int:
    return next((side for side, folder in enumerate(folders) if Path(item.path).is_relative_to(folder)), 0)


def _name(item: Item, folders: tuple[Path, Path]) -> str:
    """Path within its folder, without the ending: an image can be a PNG in one folder and a JPEG in the other."""
    folder = folders[_side(item, folders)]
    path = Path(item.path)
    path = path.relative_to(folder) if path.is_relative_to(folder) else path
    return path.with_suffix('').as_posix()


def _shared_prompts(items: Sequence[Item], folders: tuple[Path, Path]) -> list[str | None]:
    """Each item's prompt, or that of the image of the same name in the other folder if it has none."""
    known = {_name(item, folders): item.prompt for item in items if item.prompt is not None}
    return [known.get(_name(item, folders)) if item.prompt is None else item.prompt for item in items]


def _check_pairs(table: pd.DataFrame, by_prompt: bool) -> None:
    one, other = (set(table.loc[table['side'] == side, 'key']) for side in (0, 1))
    if not one & other:
        what = 'prompt' if by_prompt else 'file name'
        more = '' if by_prompt else '; give --prompts FILE so that they pair by prompt'
        raise SourceError(f'No {what} has an image with a score in both folders, so nothing pairs{more}.')


def _score(metric: Metric, items: Sequence[Item], facts: dict[str, Any], path: Path) -> list[float | None]:
    """Get a score for each item, None if it could not be scored; failures are printed."""
    needs_prompt = takes_prompts(metric)
    keys = [(content_of(item.path) or str(item.path), (item.prompt or '') if needs_prompt else '') for item in items]
    output = ScoreFile(path, facts)
    try:
        for result in score_missing(metric, items, keys, {'': output}):
            say(result)
    finally:
        output.close()
    scores = known_scores(output)
    return [scores.get(key) for key in keys]


def _names(folders: tuple[Path, Path]) -> tuple[str, str]:
    one, other = (folder.resolve().name for folder in folders)
    return (one, other) if one != other else (str(folders[0]), str(folders[1]))


def _show(report: Report, output: Path) -> None:
    table = Table()
    for name in ('', 'value', '95 %', 'p'):
        table.add_column(name, overflow='fold')
    for row in report.figures():
        table.add_row(*map(plain, row))
    screen = console()
    screen.print(table)
    for line in [report.sentence(), *report.notes, *report.left_out()]:
        screen.print(plain(line), soft_wrap=True)
    screen.print(plain(f'{output / "compare.html"}, compare.csv and the scores beside it'), soft_wrap=True)
