"""``moeagiqa leaderboard``: reads, scores, shows and writes."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.table import Table

from ..scoring.command import console
from ..scoring.sources import SourceError
from ..whole_file import whole_file
from .run import check_names, read_rated, run
from .table import by_generator, cells, leaderboard, markdown

SHOWN = ('metric', 'SRCC', '95 %', 'PLCC', 'fitted', 'KRCC', 'within', 'pairs', 'regret', 'best?', 'ms', 'how')


def make(metrics: Sequence[str], data: Sequence[Path], target: str, split: str | None, output: Path) -> int:
    """Score, print, write ``leaderboard.csv``, ``leaderboard.md`` and ``generators.csv``; returns how many rows have no figures.

    Raises:
        ValueError: for metrics, tables or an output that cannot be used.
    """
    if not metrics:
        raise SourceError('--metrics names no metric; give names such as moeagiqa,piqe.')
    names = [path.stem for path in data]
    if len(set(names)) < len(names):
        raise SourceError(f'--data: two tables are called {max(names, key=names.count)!r}; rename one.')
    tables = {name: read_rated(path, target, split) for name, path in zip(names, data, strict=True)}
    check_names(metrics)
    entries = run(list(dict.fromkeys(metrics)), tables, target, output)
    board = leaderboard(entries)
    _write(board, output / 'leaderboard.csv')
    with whole_file(output / 'leaderboard.md') as part:
        part.write_text(markdown(board), encoding='utf-8')
    generators = by_generator(entries)
    (output / 'generators.csv').unlink(missing_ok=True)
    if not generators.empty:
        _write(generators.rename_axis(['data', 'metric']).reset_index(), output / 'generators.csv')
    _show(board)
    console().print(f'{output / "leaderboard.csv"}, leaderboard.md and the scores beside it', soft_wrap=True)
    return int((board['reason'] != '').sum())


def _write(table: pd.DataFrame, path: Path) -> None:
    with whole_file(path) as part:
        table.to_csv(part, index=False)


def _show(board: pd.DataFrame) -> None:
    for data, rows in board.groupby('data', sort=False):
        table = Table(title=f'{data} (within: mean SRCC within generators; pairs: of one prompt)')
        for name in SHOWN:
            table.add_column(name, overflow='fold')
        for row in rows.to_dict('records'):
            table.add_row(*cells(row))
        console().print(table)
