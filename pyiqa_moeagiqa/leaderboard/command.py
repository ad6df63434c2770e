"""``moeagiqa leaderboard``: reads, scores, shows and writes."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.table import Table

from ..console import console
from ..scoring.sources import SourceError
from ..whole_file import whole_file
from .contestants import parse_all
from .rated import GROUPS, read_rated
from .report import latex, markdown, sections_of, write_figures, write_html
from .run import Entry, run
from .table import Board, across, by_group, groups_there, leaderboard, missing, shown

SHOWN = ('metric', 'SRCC', '95 %', 'best?', 'PLCC', 'within', 'pairs', 'regret')


def make(
    metrics: Sequence[str],
    data: Sequence[Path],
    targets: Sequence[str],
    split: str | None,
    with_published: bool,
    output: Path,
) -> int:
    """Score, print, write the tables, the page and the figures into ``output``; returns how many rows have no figures.

    Raises:
        ValueError: for metrics, tables or an output that cannot be used.
    """
    if not targets:
        raise SourceError('--target names no MOS column; give names such as quality,alignment.')
    names = [path.stem for path in data]
    if len(set(names)) < len(names):
        raise SourceError(f'--data: two tables are called {max(names, key=names.count)!r}; rename one.')
    contestants = parse_all(list(metrics))
    rated = {name: read_rated(path, targets, split) for name, path in zip(names, data, strict=True)}
    entries = run(contestants, rated, list(dict.fromkeys(targets)), output)
    board = leaderboard(entries)
    _write_tables(output, entries, board)
    _write_text(output / 'leaderboard.md', markdown(board, with_published))
    _write_text(output / 'leaderboard.tex', latex(board, with_published))
    sections = sections_of(entries, board)
    write_figures(output / 'figures', sections)
    write_html(output / 'leaderboard.html', sections, board, with_published)
    _show(board.rows)
    console().print(f'{output / "leaderboard.html"}, and beside it .csv, .md, .tex, figures and scores', soft_wrap=True)
    return int((board.rows['reason'] != '').sum())


def _write_tables(output: Path, entries: Sequence[Entry], board: Board) -> None:
    tables = {'leaderboard': board.rows, 'tests': board.tests, 'across': across(board.rows)}
    there = groups_there(entries)
    tables |= {f'{group}s': by_group(entries, group) if group in there else pd.DataFrame() for group in GROUPS}
    for name, table in tables.items():
        if table.empty:
            (output / f'{name}.csv').unlink(missing_ok=True)  # what an earlier run has left would not be of these rows
            continue
        with whole_file(output / f'{name}.csv') as part:
            table.to_csv(part, index=False)


def _write_text(path: Path, text: str) -> None:
    with whole_file(path) as part:
        part.write_text(text, encoding='utf-8')


def _show(rows: pd.DataFrame) -> None:
    for (data, target), part in rows.groupby(['data', 'target'], sort=False):
        text = shown(part)
        # no lines, and one space between columns: so it fits 80 of them
        table = Table(title=f'{data}, {target}', title_justify='left', box=None, padding=(0, 1, 0, 0))
        for name in SHOWN:
            table.add_column(name, overflow='fold')
        for row in text[list(SHOWN)].itertuples(index=False):
            table.add_row(*row)
        console().print(table)
        for metric, how in [*zip(text['metric'], text['how'], strict=True), *missing(part)]:
            console().print(f'{metric}: {how}', soft_wrap=True)
