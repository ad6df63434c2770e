"""Makes tables of results, and sorts them with the best first within each prompt."""

from collections.abc import Iterable, Sequence

import pandas as pd

from .output import COLUMNS
from .result import Result
from .score_formats import RANK, Row


def as_table(results: Iterable[Result], numbers: Sequence[str]) -> pd.DataFrame:
    """Make a table with one row per result, in order.

    Its columns are path, prompt, score, the columns ``numbers``, such as those of ``Scale.of``, ``reason`` (why there is no
    score) and ``notes`` (warnings, such as which part of a prompt was cut). Missing scores are NaN.
    """
    rows = [
        {'path': result.path, 'prompt': result.prompt, 'score': result.score}
        | dict(result.numbers)
        | {'reason': result.reason, 'notes': '; '.join(result.notes)}
        for result in results
    ]
    table = pd.DataFrame(rows, columns=[*COLUMNS, *numbers, 'reason', 'notes'])
    return table.astype(dict.fromkeys(['score', *numbers], float))


def ranked(table: pd.DataFrame, lower_better: bool) -> pd.DataFrame:
    """Sort a table prompt by prompt, the best first, and add a column ``rank`` from 1 on: <NA> for an image without a score.

    Prompts keep the order of their first images. Images of one prompt with the same score keep their order.
    """
    group = pd.Series(pd.factorize(table['prompt'])[0], table.index)
    order = table['score'] if lower_better else -table['score']
    places = pd.DataFrame({'group': group, 'order': order}).sort_values(['group', 'order'], kind='stable').index
    table = table.loc[places].reset_index(drop=True)
    rank = (table.groupby('prompt', sort=False).cumcount() + 1).astype('Int64')
    table.insert(0, RANK, rank.mask(table['score'].isna()))
    return table


def ranked_rows(rows: Sequence[Row], lower_better: bool) -> list[Row]:
    """Sort rows of a file of scores as ``ranked`` does; each row begins with its rank."""
    keys = [{'prompt': row['prompt'], 'score': row['score'], 'place': place} for place, row in enumerate(rows)]
    table = ranked(pd.DataFrame(keys, columns=['prompt', 'score', 'place']), lower_better)
    return [{RANK: int(rank)} | rows[place] for rank, place in zip(table[RANK], table['place'], strict=True)]
