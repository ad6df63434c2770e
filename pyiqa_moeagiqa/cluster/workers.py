"""What runs on the machines of a cluster: tasks read images, actors score them. They exchange tables, as Ray Data wants it."""

import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import torch

from ..archs.hardware import images_at_once
from ..scoring.metric import make_metric
from ..scoring.result import Result, row_of
from ..scoring.run import Scorer
from .output import IS_END, NAME, NOTES, PLACE, REASON, piece_name, schema_of, with_own
from .read import Asked, read

THREADS = 4  # of a processor: one image's crops keep no more of them busy
READ = pa.schema([(NAME, pa.string()), (PLACE, pa.int64()), ('seen', pa.binary())])


def refuse_pickles() -> None:
    """Take back a kind of column that Ray adds to pyarrow, whose values are unpickled: tables come from strangers."""
    import ray.data  # noqa: F401  (which adds it)

    with suppress(KeyError):
        pa.unregister_extension_type('ray.data.arrow_pickled_object')


def read_blocks(blocks: pa.Table, asked: Asked) -> Iterator[pa.Table]:
    """A task: read the images of blocks, and yield a table of one row for each as soon as it is read."""
    refuse_pickles()
    for block in map(pickle.loads, blocks['block'].to_pylist()):
        for piece, place, seen in read(block, asked):
            row = {
                NAME: piece_name(block, piece),
                PLACE: place,
                'seen': None if seen is None else pickle.dumps(seen, pickle.HIGHEST_PROTOCOL),
            }
            yield pa.Table.from_pylist([row], READ)


class ScoringWorker:
    """An actor: it loads the metric once, then turns tables of images into tables of scores.

    Args:
        metric: its name.
        options: of ``create_metric``.
        columns: of the scores.
    """

    def __init__(self, metric: str, options: Mapping[str, Any], columns: Sequence[str]):
        if not torch.cuda.is_available():
            torch.set_num_threads(min(THREADS, os.cpu_count() or 1))
        made = make_metric(metric, options)
        self.scorer, self.at_once = Scorer(made, {}), images_at_once(made.device)
        self.schema = with_own(schema_of(columns))

    def __call__(self, images: pa.Table) -> pa.Table:
        """Score images; the ends of pieces are passed on."""
        rows = images.to_pylist()
        wanted = [pickle.loads(row['seen']) for row in rows if row['seen'] is not None]
        groups = (wanted[start : start + self.at_once] for start in range(0, len(wanted), self.at_once))
        results = (result for group in groups for result in self.scorer.score(group))
        return pa.Table.from_pylist(
            [_own(row) | ({} if row['seen'] is None else _row(next(results))) for row in rows], self.schema
        )


def _own(row: Mapping[str, Any]) -> dict[str, Any]:
    return {NAME: row[NAME], PLACE: row[PLACE], IS_END: row['seen'] is None}


def _row(result: Result) -> dict[str, Any]:
    row = {'path': result.path, 'prompt': result.prompt} | row_of(result)
    return row | {REASON: result.reason, NOTES: '; '.join(result.notes)}
