"""A comparison in words, numbers and pictures."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..pages import svg, thumbnail, write_page
from ..scoring.scale import Scale
from .comparison import FEWEST, Comparison

SHOWN = 8  # pairs that each side wins
FIRST_LEFT_OUT = 20


@dataclass
class Report:
    """A comparison with the names of its parts.

    Attributes:
        comparison: the result of ``compare_scores``.
        names: of both generators.
        metric: the metric's name.
        lower_better: whether the metric's lower scores are better.
        unit: what images are paired by: 'prompts' or 'file names'.
        scale: of the metric, for MOS in raters' units; None if it has none.
        notes: further remarks for the user, such as that images differ in size.
    """

    comparison: Comparison
    names: tuple[str, str]
    metric: str
    lower_better: bool
    unit: str
    scale: Scale | None = None
    notes: Sequence[str] = ()

    def sentence(self) -> str:
        """The outcome in one sentence."""
        found, (one, _) = self.comparison, self.names
        (low, high), p = found.win_interval, f'Wilcoxon p {_p(found.p_difference)}'
        start = f'{one} wins {100 * found.win_rate:.0f} % of {len(found.pairs)} {self.unit}'
        if found.too_few:
            what = 'pair' if len(found.pairs) < FEWEST else 'differ'
            return f'{start}, {p}: fewer than {FEWEST} {self.unit} {what}, too few to tell and too few for an interval.'
        start += f' (95 %: {100 * low:.0f} to {100 * high:.0f}), {p}'
        if found.better is None:
            return f'{start}: the data cannot tell them apart.'
        return f'{start}: {self.names[found.better]} is better, judged by {self.metric}.'

    def figures(self) -> list[tuple[str, str, str, str]]:
        """Rows of name, value, 95 % interval and p-value; too few pairs have no interval."""
        found, (one, other) = self.comparison, self.names
        (low, high), (least, most) = found.win_interval, found.difference_interval
        differences, wins = f'{least:+.4f} to {most:+.4f}', f'{100 * low:.0f} to {100 * high:.0f} %'
        if found.too_few:
            differences = wins = ''
        difference = f'mean difference ({"lower" if self.lower_better else "higher"} scores are better)'
        return [
            (f'mean score of {one}', self._mean('one'), '', ''),
            (f'mean score of {other}', self._mean('other'), '', ''),
            (difference, f'{found.difference:+.4f}', differences, _p(found.p_difference)),
            (f'{one} wins', f'{100 * found.win_rate:.0f} %', wins, _p(found.p_wins)),
        ]

    def _mean(self, side: str) -> str:
        """A side's mean score as text, with its MOS if the metric has a scale."""
        mean = self.comparison.pairs[side].mean()
        mos = self.scale.of(mean)['mos'] if self.scale else None
        return f'{mean:.4f}' if mos is None else f'{mean:.4f} (MOS {mos:.2f})'

    def left_out(self) -> list[str]:
        """A sentence for each side, naming the prompts or file names that only it has."""
        sentences = []
        for name, keys in zip(self.names, self.comparison.left_out, strict=True):
            if keys:
                first = '; '.join(keys[:FIRST_LEFT_OUT]) + ('; …' if len(keys) > FIRST_LEFT_OUT else '')
                sentences.append(f'Left out, as only {name} has them ({len(keys)}): {first}.')
        return sentences


def _p(value: float) -> str:
    return '< 0.001' if value < 0.001 else f'= {value:.2g}'


def write_comparison(path: Path, report: Report) -> None:
    """Write the page: the outcome, the pairs with the largest differences, and all pairs."""
    pairs = report.comparison.pairs
    best = pairs[pairs['difference'] > 0].head(SHOWN)
    worst = pairs[pairs['difference'] < 0].tail(SHOWN)[::-1]
    write_page(
        path,
        'compare.html',
        title=f'{report.names[0]} against {report.names[1]}',
        report=report,
        figure=svg(_differences(report)),
        groups=[(report.names[0], _cards(best)), (report.names[1], _cards(worst))],
        pairs=pairs.to_dict('records'),
    )


def _cards(pairs: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return [
        row | {f'picture_{side}': thumbnail(row[f'path_{side}']) for side in ('one', 'other')}
        for row in pairs.to_dict('records')
    ]


def _differences(report: Report) -> Figure:
    """Draw all pairs' differences, in order."""
    values = report.comparison.pairs['difference'].to_numpy()
    figure = Figure(figsize=(8, 2.4), layout='constrained')
    axes = figure.add_subplot()
    axes.bar(np.arange(len(values)), values, width=1, color=np.where(values > 0, '#0b5cad', '#b3261e'))
    axes.axhline(0, color='black', lw=0.8)
    axes.set(xlabel=f'{report.unit}, by difference', ylabel='difference', xlim=(-0.5, len(values) - 0.5))
    axes.spines[['top', 'right']].set_visible(False)
    return figure
