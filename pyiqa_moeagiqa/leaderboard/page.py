"""The leaderboard as one HTML page, and its figures as files."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ..pages import svg, thumbnail, write_page
from ..whole_file import whole_file
from .entry import Entry
from .plots import heat_map, intervals, scatter
from .table import Board, across, by_group, groups_there, missing, published, rounded, shown

MOST_DISPUTED = 12  # images
COLUMNS_SAY = {
    'best?': 'test against the best metric; a tie means that these images do not tell them apart (prompts resampled, Holm’s correction, 5 %)',
    'fit': 'after a four-parameter logistic fit; RMSE in MOS',
    'main': 'mean of SRCC and PLCC',
    'within': 'mean SRCC within generators; a pooled SRCC is higher, because generators differ more than the images of one do',
    'pairs': 'share of pairs in the right order; pairs are images of one prompt whose MOS differ by at least 6 % of the range',
    'regret': 'MOS that is lost by choosing the best-scored image of each prompt',
    'ms': 'milliseconds per image on this machine, including reading',
}


@dataclass
class Section:
    """One data set and target.

    Attributes:
        data, target: their names.
        rows: the leaderboard's rows for them.
        entries: the entries that have a table, the best first.
        figures: name -> caption and figure.
    """

    data: str
    target: str
    rows: pd.DataFrame
    entries: list[Entry]
    figures: dict[str, tuple[str, Figure]]


def sections_of(entries: Sequence[Entry], board: Board) -> list[Section]:
    """Make a section for each data set and target, with its figures drawn."""
    scored: dict[Any, Entry] = {
        (entry.data, entry.target, entry.metric): entry for entry in entries if entry.table is not None
    }
    sections = []
    for (data, target), rows in board.rows.groupby(['data', 'target'], sort=False):
        there = [scored[data, target, metric] for metric in rows['metric'] if (data, target, metric) in scored]
        sections.append(Section(str(data), str(target), rows, there, _figures(there, rows) if there else {}))
    return sections


def _figures(entries: Sequence[Entry], rows: pd.DataFrame) -> dict[str, tuple[str, Figure]]:
    figures = {'intervals': ('SRCC with its interval', intervals(rows))}
    for group in groups_there(entries):
        table = by_group(entries, group).drop(columns=['data', 'target']).set_index('metric')
        figures[group] = f'SRCC within each {group}', heat_map(table)
    return figures | {'scatter': ('Scores against MOS, with the logistic fit', scatter(entries))}


def write_html(path: Path, sections: Sequence[Section], board: Board, with_published: bool) -> None:
    """Write the page; it is self-contained, including pictures, and needs no network."""
    write_page(
        path,
        'leaderboard.html',
        title='How well do metrics agree with people?',
        parts=[_part(section, board.tests) for section in sections],
        columns_say=COLUMNS_SAY,
        across=rounded(across(board.rows)),
        published=rounded(published(board.rows)) if with_published else pd.DataFrame(),
    )


def _part(section: Section, tests: pd.DataFrame) -> dict[str, Any]:
    """A section's values for the page template."""
    data, target, entries = section.data, section.target, section.entries
    tests = tests[(tests['data'] == data) & (tests['target'] == target)].drop(columns=['data', 'target'])
    shown_images = _disputed(entries) if len(entries) > 1 else []
    return {
        'data': data,
        'target': target,
        'images': len(entries[0].scored) if entries else 0,
        'prompts': entries[0].scored['prompt'].nunique() if entries else 0,
        'rows': shown(section.rows),
        'missing': missing(section.rows),
        'figures': [(caption, svg(figure)) for caption, figure in section.figures.values()],
        'tests': rounded(tests),
        'disputed': [image | {'picture': thumbnail(image['path'])} for image in shown_images],
    }


def _disputed(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """At most ``MOST_DISPUTED`` images of one data set, the most disputed first, at most one of each prompt.

    An image is the more disputed, the larger the standard deviation of its ranks over the metrics.

    Args:
        entries: at least two with figures, of one data set and target.

    Returns:
        path, prompt, mos and ``ranks``: for MOS and each metric the percentage of images that rank below, from 0 to 100.
    """
    first = entries[0].scored
    ranks = pd.DataFrame({entry.metric: _percent(entry.scored['score']) for entry in entries})
    order = ranks.std(axis=1, ddof=0).sort_values(ascending=False, kind='stable').index
    chosen = first.loc[order].drop_duplicates('prompt').index[:MOST_DISPUTED]
    people = _percent(first['mos'])
    return [
        {
            'path': first.at[place, 'path'],
            'prompt': first.at[place, 'prompt'],
            'mos': first.at[place, 'mos'],
            'ranks': {'people': people[place], **ranks.loc[place]},
        }
        for place in chosen
    ]


def _percent(values: pd.Series) -> pd.Series:
    return 100 * (values.rank() - 1) / (len(values) - 1)


def write_figures(folder: Path, sections: Sequence[Section]) -> None:
    """Write the page's figures as PNG files, for papers and slides: DATA-TARGET-scatter.png and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for name, (_, figure) in section.figures.items():
            file = re.sub(r'[\\/:*?"<>|\x00-\x1f]', '_', f'{section.data}-{section.target}-{name}.png')
            with whole_file(folder / file) as part, warnings.catch_warnings():
                warnings.filterwarnings('ignore', 'Glyph', UserWarning)  # the font has no Chinese and no emoji
                figure.savefig(part, format='png', dpi=150)
