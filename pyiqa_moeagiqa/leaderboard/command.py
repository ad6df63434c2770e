"""``moeagiqa leaderboard``: read data sets, score them, show and write the results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from ..console import console, plain
from ..scoring.sources import SourceError
from ..spreadsheet import write_csv
from .baselines import BASELINES
from .contestants import Contestant, parse_all
from .entries import entries_of
from .entry import Entry
from .page import sections_of, write_figures, write_html
from .rated import GROUPS, Rated, read_rated
from .table import IN_TERMINAL, Board, across, board_of, by_group, groups_there, missing, scores, shown
from .targets import parse_targets
from .text_tables import write_markup


def leaderboard(
    metrics: Sequence[str],
    data: Sequence[Path],
    targets: Sequence[str],
    split: str | None,
    with_published: bool,
    options: Mapping[str, Any],
    output: Path,
) -> int:
    """Score, print, and write tables, page and figures into ``output``; returns how many rows have no figures.

    Args:
        metrics: as ``parse_all`` takes them.
        data: paths of tables, as ``read_rated`` takes them.
        targets: as ``parse_targets`` takes them.
        split: as ``read_rated`` takes it.
        with_published: whether published figures of other authors are shown.
        options: of ``create_metric``, by name; those that are None are left out.
        output: folder.

    Raises:
        ValueError: for metrics, tables or an output that cannot be used.
    """
    asked = parse_targets(targets)
    names = [plain(path.stem) for path in data]
    if len(set(names)) < len(names):
        raise SourceError(f'--data: two tables are called {max(names, key=names.count)!r}; rename one.')
    contestants = parse_all(list(metrics))
    _require_split(contestants, split)
    rated = {name: read_rated(path, asked, split) for name, path in zip(names, data, strict=True)}
    entries = entries_of(contestants, rated, options, output)
    board = board_of(entries)
    _write_tables(output, entries, board, rated)
    write_markup(output, board, with_published)
    sections = sections_of(entries, board)
    write_figures(output / 'figures', sections)
    write_html(output / 'leaderboard.html', sections, board, with_published)
    _show(board.rows)
    page = plain(output / 'leaderboard.html')
    console().print(f'The page is {page}; its folder also has the tables, figures and scores.', soft_wrap=True)
    return int((board.rows['reason'] != '').sum())


def _require_split(contestants: Sequence[Contestant], split: str | None) -> None:
    """Raise a SourceError for a baseline without a split, which says what it is fitted to."""
    for contestant in contestants:
        if contestant.metric in BASELINES and split is None:
            raise SourceError(
                f'--metrics {contestant.metric}: it is fitted to training rows; give --split, as in --split prompt_0=test, or leave '
                'it out.'
            )


def _write_tables(output: Path, entries: Sequence[Entry], board: Board, data: Mapping[str, Rated]) -> None:
    tables = {'leaderboard': board.rows, 'tests': board.tests, 'across': across(board.rows)}
    tables['scores'] = scores(entries, data)
    there = groups_there(entries)
    tables |= {f'{group}s': by_group(entries, group) if group in there else pd.DataFrame() for group in GROUPS}
    for name, table in tables.items():
        if table.empty:
            (output / f'{name}.csv').unlink(missing_ok=True)  # an earlier run's file would not match these rows
        else:
            write_csv(output / f'{name}.csv', table)


def _show(rows: pd.DataFrame) -> None:
    for (data, target), part in rows.groupby(['data', 'target'], sort=False):
        text = shown(part)
        # No lines, and one space between columns, so that the table fits 80 characters.
        table = Table(title=plain(f'{data}, {target}'), title_justify='left', box=None, padding=(0, 1, 0, 0))
        for name in IN_TERMINAL:
            table.add_column(name, overflow='fold')
        for row in text[list(IN_TERMINAL)].itertuples(index=False):
            table.add_row(*map(plain, row))
        console().print(table)
        for metric, how in [*zip(text['metric'], text['how'], strict=True), *missing(part)]:
            console().print(plain(f'{metric}: {how}'), soft_wrap=True)
