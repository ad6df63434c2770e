"""The leaderboard's figures, as matplotlib figures that touch no global state. A ``$`` in a name does not start a formula."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..console import plain
from .entry import Entry
from .statistics import fitted

DOT, LINE = '#0b5cad', '#c2410c'
LONGEST_NAME = 36  # characters
MOST_GROUPS = 40  # columns of a figure; the table has all groups


def named(text: str) -> str:
    """A name for a figure: in one line, and cut to ``LONGEST_NAME`` characters."""
    text = plain(text)
    return text if len(text) <= LONGEST_NAME else f'{text[: LONGEST_NAME - 1]}…'


def scatter(entries: Sequence[Entry]) -> Figure:
    """Plot score against MOS for each metric, with the four-parameter logistic fit if it converged."""
    columns = min(3, len(entries))
    lines = -(-len(entries) // columns)
    figure = Figure(figsize=(4 * columns, 3.4 * lines), layout='constrained')
    axes = figure.subplots(lines, columns, squeeze=False).flat
    for axis, entry in zip(axes, entries, strict=False):
        _scatter(axis, entry)
    for axis in list(axes)[len(entries) :]:
        axis.set_axis_off()
    return figure


def _scatter(axis: Axes, entry: Entry) -> None:
    """Plot the metric's own scores, with their own sign."""
    table = entry.scored.sort_values('score')
    sign = -1 if entry.lower_better else 1
    axis.scatter(sign * table['score'], table['mos'], s=7, alpha=0.45, color=DOT, linewidths=0, rasterized=True)
    curve = fitted(table['score'].to_numpy(float), table['mos'].to_numpy(float))
    if np.isfinite(curve).all():
        axis.plot(sign * table['score'], curve, color=LINE, linewidth=2)
    axis.set_title(named(entry.metric), parse_math=False)
    axis.set(xlabel=f'score ({"lower" if entry.lower_better else "higher"} is better)', ylabel='MOS')


def intervals(rows: pd.DataFrame) -> Figure:
    """Plot SRCC of each metric with its 95 % interval, the best at the top; rows are of one data set and target."""
    rows = rows.dropna(subset='srcc')[::-1]
    figure = Figure(figsize=(8, 0.9 + 0.42 * len(rows)), layout='constrained')
    axis = figure.subplots()
    errors = [rows['srcc'] - rows['srcc_low'], rows['srcc_high'] - rows['srcc']]
    axis.errorbar(rows['srcc'], range(len(rows)), xerr=np.clip(errors, 0, None), fmt='o', color=DOT, capsize=3)
    axis.set_yticks(range(len(rows)), map(named, rows['metric']), parse_math=False)
    axis.set(xlabel='SRCC, 95 % interval (prompts resampled)', ylim=(-0.6, len(rows) - 0.4))
    axis.grid(axis='x', alpha=0.3)
    return figure


def heat_map(table: pd.DataFrame) -> Figure:
    """Plot SRCC with one row for each metric (the index) and one column for each of the first ``MOST_GROUPS`` groups."""
    table = table.iloc[:, :MOST_GROUPS]
    lines, columns = table.shape
    figure = Figure(figsize=(2.5 + 0.75 * columns, 1.6 + 0.42 * lines), layout='constrained')
    axis = figure.subplots()
    colours = matplotlib.colormaps['RdYlBu']
    axis.imshow(table.to_numpy(float), cmap=colours, vmin=-1, vmax=1, aspect='auto')
    slanted: dict[str, Any] = {'rotation': 35, 'ha': 'right', 'rotation_mode': 'anchor'}
    axis.set_xticks(range(columns), map(named, table.columns), parse_math=False, **slanted)
    axis.set_yticks(range(lines), map(named, table.index), parse_math=False)
    for (line, column), value in np.ndenumerate(table.to_numpy(float)):
        if np.isfinite(value):
            dark = abs(value) > 0.75
            axis.text(
                column, line, f'{value:.2f}', ha='center', va='center', fontsize=8, color='white' if dark else 'black'
            )
    return figure
