"""Results as a table, and the best first within each prompt."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from . import scale as scales
from .output import COLUMNS
from .run import Result


def as_table(metric: Any, results: Iterable[Result]) -> pd.DataFrame:
    """One row per result, in order: path, prompt, score, for this package's metrics the columns of ``Scale.of``, and
    ``reason`` (why there is no score) and ``notes`` (what was said, such as what of a prompt was cut).

    Scores that are missing are NaN.
    """
    scale = scales.scale_of(metric)
    numbers = ['score', *(scales.COLUMNS if scale else ())]
    rows = []
    for result in results:
        row = {'path': result.path, 'prompt': result.prompt, 'score': result.score}
        if scale and result.score is not None:
            row |= scale.of(result.score)
        rows.append(row | {'reason': result.reason, 'notes': '; '.join(result.notes)})
    table = pd.DataFrame(rows, columns=[*COLUMNS, *numbers[1:], 'reason', 'notes'])
    return table.astype(dict.fromkeys(numbers, float))


def ranked(table: pd.DataFrame, lower_better: bool) -> pd.DataFrame:
    """The table prompt by prompt, the best first, with a column ``rank`` from 1 on: <NA> for what has no score.

    Prompts stay in the order in which they first come, and so do images of one score.
    """
    group = pd.Series(pd.factorize(table['prompt'])[0], table.index)
    order = table['score'] if lower_better else -table['score']
    places = pd.DataFrame({'group': group, 'order': order}).sort_values(['group', 'order'], kind='stable').index
    table = table.loc[places].reset_index(drop=True)
    rank = (table.groupby('prompt', sort=False).cumcount() + 1).astype('Int64')
    table.insert(0, 'rank', rank.mask(table['score'].isna()))
    return table
