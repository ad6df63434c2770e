"""A table of the paper made anew: our figures over all runs of a row, and the published ones beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ..console import plain
from ..markup import escape_latex, escape_markdown, latex, markdown
from ..spreadsheet import as_csv
from .paper_tables import Row
from .results import DEVIATION, HIGH, LOW, MEAN, over_runs
from .run_folder import write_text

METRICS = ('srcc', 'plcc')
PARTS = {'': MEAN, '_deviation': DEVIATION, '_low': LOW, '_high': HIGH}


def compare(rows: Sequence[Row], figures: Mapping[Path, Mapping[str, Mapping[str, float]]]) -> pd.DataFrame:
    """One line for each row and data set; figures are missing where no run has ended.

    Args:
        rows: those of the table.
        figures: run's folder -> data set -> metric -> value.

    Returns:
        row, data, runs (those that have ended), planned; and for each metric ``srcc`` (the mean), ``srcc_deviation``,
        ``srcc_low`` and ``srcc_high`` (see ``over_runs``) and ``srcc_published``.
    """
    lines = []
    for row in rows:
        ended = [figures[folder] for folder in row.folders if folder in figures]
        for data in row.tests:
            line: dict[str, Any] = {'row': row.name, 'data': data, 'runs': len(ended), 'planned': len(row.folders)}
            values = over_runs(pd.DataFrame([one[data] for one in ended], columns=list(METRICS), dtype=float))
            for metric in METRICS:
                line |= {f'{metric}{ending}': values[part][metric] for ending, part in PARTS.items()}
                line[f'{metric}_published'] = row.published.get(data, {}).get(metric)
            lines.append(line)
    return pd.DataFrame(lines)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The lines of ``compare`` as text: means with their deviations."""
    text = table[['row', 'data']].copy()
    text['data'] = text['data'].str.removesuffix('_test')  # a row's own data set; the others are measured whole
    text['runs'] = [f'{runs}/{planned}' for runs, planned in zip(table['runs'], table['planned'], strict=True)]
    for metric in METRICS:
        name, columns = metric.upper(), (table[metric], table[f'{metric}_deviation'])
        text[name] = [_with_deviation(*pair) for pair in zip(*columns, strict=True)]
        text[f'{name} paper'] = [_rounded(value) for value in table[f'{metric}_published']]
    return text


def _with_deviation(mean: float, deviation: float) -> str:
    return _rounded(mean) if pd.isna(deviation) else f'{mean:.4f}±{deviation:.4f}'


def _rounded(value: float) -> str:
    return '' if pd.isna(value) else f'{value:.4f}'


def as_table(table: pd.DataFrame) -> Table:
    """The lines for a screen of 80 columns."""
    text, shape = shown(table), Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in text.columns:
        shape.add_column(name.replace(' ', '\n'), no_wrap=name not in ('row', 'data'), overflow='fold')
    for line in text.itertuples(index=False):
        shape.add_row(*map(plain, line))
    return shape


def write(folder: Path, title: str, table: pd.DataFrame, failed: Mapping[Path, str]) -> None:
    """Write ``replicate.csv``, ``.md`` and ``.tex``; Markdown and LaTeX name the failed runs, too."""
    text = shown(table)
    reasons = [f'{run} failed: {reason}' for run, reason in failed.items()]
    below = [f'- {escape_markdown(reason)}' for reason in reasons]
    write_text(folder / 'replicate.csv', as_csv(table))
    write_text(folder / 'replicate.md', '\n'.join([f'### {title}', '', markdown(text), '', *below]).rstrip() + '\n')
    comments = [f'% {escape_latex(reason)}' for reason in reasons]
    write_text(folder / 'replicate.tex', '\n'.join([latex(title, text), *comments]).rstrip() + '\n')
