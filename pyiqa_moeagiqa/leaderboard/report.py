"""The leaderboard for people: one HTML page, Markdown, LaTeX, and the figures."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..pages import svg, thumbnail, write_page
from ..whole_file import whole_file
from .disputed import disputed
from .plots import heat_map, intervals, scatter
from .run import Entry
from .table import Board, across, by_group, groups_there, missing, published, rounded, shown

COLUMNS_SAY = {
    'best?': 'against the best: a tie is what these images cannot tell apart (prompts resampled, Holm’s correction, 5 %)',
    'fit': 'after a four-parameter logistic fit; RMSE in MOS',
    'main': 'mean of SRCC and PLCC',
    'within': 'mean SRCC within generators: a pooled SRCC flatters, as generators differ more than their pictures',
    'pairs': 'share of pairs of one prompt, 6 % of the MOS range apart or more, in the right order',
    'regret': 'MOS that is lost by taking the best-scored image of each prompt',
    'ms': 'an image on this machine, reading included',
}


def write_html(path: Path, entries: Sequence[Entry], board: Board, with_published: bool) -> None:
    """Write the page: everything is in it, pictures too, and it needs no network."""
    parts = [
        _part([entry for entry in entries if (entry.data, entry.target) == key], rows, board.tests)
        for key, rows in board.rows.groupby(['data', 'target'], sort=False)
    ]
    write_page(
        path,
        'leaderboard.html',
        title='How well do metrics agree with people?',
        parts=parts,
        columns_say=COLUMNS_SAY,
        across=rounded(across(board.rows)),
        published=rounded(published(board.rows)) if with_published else pd.DataFrame(),
    )


def _part(entries: Sequence[Entry], rows: pd.DataFrame, tests: pd.DataFrame) -> dict[str, Any]:
    """One data set and target."""
    data, target = entries[0].data, entries[0].target
    scored = [
        entry for metric in rows['metric'] for entry in entries if entry.metric == metric and entry.table is not None
    ]
    part = {'data': data, 'target': target, 'rows': shown(rows), 'missing': missing(rows)}
    part |= {'figures': [], 'disputed': [], 'tests': pd.DataFrame()}
    if not scored:
        return part
    table = scored[0].table
    part |= {'images': len(table), 'prompts': table['prompt'].nunique()}
    part['figures'] = [('SRCC with its interval', svg(intervals(rows)))]
    for group in groups_there(scored):
        part['figures'].append((f'SRCC within each {group}', svg(heat_map(_by_metric(by_group(scored, group))))))
    part['figures'].append(('Scores against MOS, with the logistic fit', svg(scatter(scored))))
    if len(scored) > 1:
        part['disputed'] = [image | {'picture': thumbnail(image['path'])} for image in disputed(scored)]
        there = tests[(tests['data'] == data) & (tests['target'] == target)]
        part['tests'] = rounded(there.drop(columns=['data', 'target']))
    return part


def _by_metric(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=['data', 'target']).set_index('metric')


def write_figures(folder: Path, entries: Sequence[Entry], board: Board) -> None:
    """The page's figures as PNG files, for papers and slides: DATA-TARGET-scatter.png and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for (data, target), rows in board.rows.groupby(['data', 'target'], sort=False):
        scored = [
            entry for entry in entries if (entry.data, entry.target) == (data, target) and entry.table is not None
        ]
        if not scored:
            continue
        figures = {'scatter': scatter(scored), 'intervals': intervals(rows)}
        for group in groups_there(scored):
            figures[group] = heat_map(_by_metric(by_group(scored, group)))
        for name, figure in figures.items():
            with whole_file(folder / f'{data}-{target}-{name}.png') as part:
                figure.savefig(part, format='png', dpi=150)


def markdown(board: Board, with_published: bool) -> str:
    """For a README or an appendix."""
    parts = [
        '\n'.join([f'### {data}, {target}', '', _markdown(shown(rows)), *_missing(rows)])
        for (data, target), rows in board.rows.groupby(['data', 'target'], sort=False)
    ]
    for title, table in _others(board, with_published):
        parts.append(f'### {title}\n\n{_markdown(table)}')
    return '\n\n'.join(parts) + '\n'


def _missing(rows: pd.DataFrame) -> list[str]:
    without = [f'- {metric}: {reason}' for metric, reason in missing(rows)]
    return ['', 'Without figures:', '', *without] if without else []


def _others(board: Board, with_published: bool) -> list[tuple[str, pd.DataFrame]]:
    tables = [('SRCC across data sets', rounded(across(board.rows)))]
    if with_published:
        tables.append(('Published, by other protocols', rounded(published(board.rows))))
    return [(title, table) for title, table in tables if not table.empty]


def _markdown(table: pd.DataFrame) -> str:
    lines = [table.columns, ['---'] * len(table.columns), *table.itertuples(index=False)]
    return '\n'.join('| ' + ' | '.join(cell.replace('|', '/') for cell in line) + ' |' for line in lines)


def latex(board: Board, with_published: bool) -> str:
    """Tables for a paper; they need ``\\usepackage{booktabs}``."""
    tables = [
        (f'{data}, {target}', shown(rows))
        for (data, target), rows in board.rows.groupby(['data', 'target'], sort=False)
    ]
    return '\n'.join(
        table.to_latex(index=False, escape=True, caption=_escaped(title))
        for title, table in [*tables, *_others(board, with_published)]
    )


def _escaped(text: str) -> str:
    return re.sub(r'([&%$#_{}])', r'\\\1', text)
