"""Draws what a run predicts: the score of each image against its MOS, one picture for each data set."""

import re
import warnings
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ..whole_file import whole_file
from .run_folder import PREDICTIONS

NOT_MOS = ('data', 'path', 'prompt')


def draw_scatters(folder: Path) -> None:
    """Draw ``scatter-DATA.png`` beside ``predictions.csv``, which holds the same numbers, for each data set in it.

    A run of an earlier version has no such file, and gets no picture.
    """
    if not (folder / PREDICTIONS).is_file():
        return
    table = pd.read_csv(folder / PREDICTIONS, keep_default_na=False)
    for data, rows in table.groupby('data', sort=False):
        name = re.sub(r'[^\w.+-]', '_', str(data))
        with whole_file(folder / f'scatter-{name}.png') as part, warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'Glyph', UserWarning)  # the font has no Chinese and no emoji
            scatter(rows, str(data)).savefig(part, format='png', dpi=150)


def scatter(rows: pd.DataFrame, data: str) -> Figure:
    """Score against MOS, with a plot for each target.

    Args:
        rows: of ``predictions.csv``, of one data set.
        data: its name.
    """
    targets = [name for name in rows.columns if name not in NOT_MOS and not name.startswith('score')]
    figure = Figure(figsize=(4.2 * len(targets), 4), layout='constrained')
    for axis, target in zip(figure.subplots(1, len(targets), squeeze=False)[0], targets, strict=True):
        score = rows[f'score_{target}' if f'score_{target}' in rows else 'score']
        axis.scatter(rows[target], score, s=9, alpha=0.5, linewidths=0)
        axis.set(xlabel=f'{target}, MOS', ylabel=f'{target}, predicted score')
        axis.grid(alpha=0.3)
    figure.suptitle(f'{data}: {len(rows)} images', parse_math=False)
    return figure
