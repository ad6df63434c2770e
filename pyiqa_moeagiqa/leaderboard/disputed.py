"""Finds the images that metrics disagree about most, which a table of correlations does not show."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from .entry import Entry

COUNT = 12


def disputed(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """At most ``COUNT`` images of one data set, the most disputed first, at most one of each prompt.

    An image is the more disputed, the larger the standard deviation of its ranks over the metrics.

    Args:
        entries: at least two with figures, of one data set and target.

    Returns:
        path, prompt, mos and ``ranks``: for MOS and each metric the percentage of images that rank below, from 0 to 100.
    """
    first = entries[0].scored
    ranks = pd.DataFrame({entry.metric: _percent(entry.scored['score']) for entry in entries})
    order = ranks.std(axis=1, ddof=0).sort_values(ascending=False, kind='stable').index
    chosen = first.loc[order].drop_duplicates('prompt').index[:COUNT]
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
