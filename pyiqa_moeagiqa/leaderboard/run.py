"""Metrics on data sets: each score is computed once and kept; what cannot be had is a row that says why."""

import hashlib
import json
import math
import os
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from ..data.info import dataset_info
from ..data.table import TableError, read_mos_table
from ..scoring.command import made_by, make_metric
from ..scoring.output import ScoreFile
from ..scoring.run import score_items
from ..scoring.sources import Item, SourceError
from ..whole_file import whole_file

HUB, PATIENCE = ('huggingface.co', 443), 3.0


@dataclass
class Entry:
    """One metric on one data set.

    Attributes:
        metric, data: their names.
        table: columns score (higher is better), mos, prompt and, where the data set has it, generator; None where the metric
            could not be had or left images without a score.
        how: how it came to its scores.
        reason: why there is no table.
        seconds: an image, when its scores were computed.
        parameters: of the metric.
    """

    metric: str
    data: str
    table: pd.DataFrame | None = None
    how: str = ''
    reason: str = ''
    seconds: float = math.nan
    parameters: int = 0


def read_rated(path: Path, target: str, split: str | None = None) -> pd.DataFrame:
    """A data set's images with their MOS in column ``mos``.

    Args:
        path: CSV, JSON lines or Parquet with columns path, prompt and ``target``. A data set of this package is known by the
            file's name, and its MOS are checked against its range.
        target: the MOS column.
        split: ``COLUMN=VALUE`` for some of the rows, as in ``prompt_0=test``.

    Raises:
        TableError: for a table that cannot be used.
    """
    mos_range = dataset_info().get(path.stem, {}).get('mos_range', (-math.inf, math.inf))
    table = read_mos_table(path, None, [target], mos_range).rename(columns={target: 'mos'})
    if split is not None:
        column, _, value = split.partition('=')
        if column not in table.columns or not value:
            raise TableError(f'{path}: --split {split} must be COLUMN=VALUE with a column of the table.')
        table = table[table[column].astype(str) == value]
    if len(table) < 3 or table['mos'].nunique() < 2:
        raise TableError(
            f'{path}: {len(table)} images are left, too few to correlate; give at least three that differ.'
        )
    return table.reset_index(drop=True)


def run(metrics: Sequence[str], data: dict[str, pd.DataFrame], folder: Path) -> list[Entry]:
    """All metrics on all data sets; a run that was cut goes on, and another metric is computed alone.

    Args:
        metrics: names of pyiqa's no-reference metrics.
        data: name -> what ``read_rated`` gave.
        folder: where scores are kept.
    """
    _do_not_wait_for_the_hub()
    entries = []
    for name in metrics:
        try:
            metric, reason = make_metric(name, {}), ''
        except (ValueError, OSError) as error:  # all of this package's own errors are ValueErrors
            metric, reason = None, str(error).removeprefix(f'--metric {name}: ')
        for place, table in data.items():
            entries.append(
                Entry(name, place, reason=reason) if metric is None else _entry(name, metric, place, table, folder)
            )
    return entries


def _do_not_wait_for_the_hub() -> None:
    """Where there is no way to the hub, say so to its client, which would try for a minute per metric."""
    try:
        socket.create_connection(HUB, PATIENCE).close()
    except OSError:
        os.environ.setdefault('HF_HUB_OFFLINE', '1')


def _entry(name: str, metric: Any, data: str, table: pd.DataFrame, folder: Path) -> Entry:
    facts = made_by(name, metric)
    file = folder / 'scores' / f'{data}-{name}-{_short(facts)}.parquet'
    entry = Entry(name, data, how=_how(metric), parameters=sum(part.numel() for part in metric.net.parameters()))
    keys = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in table['path']]
    output = ScoreFile(file, facts)
    try:
        entry.reason = _score_missing(metric, table, keys, output, f'{name} on {data}')
        scores = {(row['path'], row['prompt']): row['score'] for row in output.rows}
    finally:
        output.close()
    entry.seconds = _seconds(file)
    if not entry.reason:
        sign = -1 if metric.lower_better else 1
        score = [sign * scores[key] for key in zip(keys, table['prompt'], strict=True)]
        columns = [column for column in ('mos', 'prompt', 'generator') if column in table]
        entry.table = table[columns].assign(score=score)
    return entry


def _score_missing(metric: Any, table: pd.DataFrame, keys: Sequence[str], output: ScoreFile, title: str) -> str:
    """Score the images whose content is not in the file yet; why some could not be, or ''."""
    done = {(row['path'], row['prompt']) for row in output.rows}
    todo = {
        (key, prompt): Item(Path(path), prompt)
        for key, path, prompt in zip(keys, table['path'], table['prompt'], strict=True)
        if (key, prompt) not in done
    }
    failed, start = [], time.perf_counter()
    results = score_items(metric, todo.values())
    for (key, prompt), result in zip(todo, _shown(results, len(todo), title), strict=True):
        if result.score is None:
            failed.append(f'{result.path}: {result.reason}')
        else:
            output.add(key, prompt, result.score)
    if todo and len(failed) < len(todo):
        _note_seconds(output.path, (time.perf_counter() - start) / len(todo))
    return f'{len(failed)} of {len(table)} images have no score; the first is {failed[0]}' if failed else ''


def _shown(results: Iterable[Any], count: int, title: str) -> Iterable[Any]:
    return tqdm(results, total=count, desc=title, unit='image', disable=None if count else True)


def _short(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def _how(metric: Any) -> str:
    """Zero-shot, or what the checkpoint's header says that it was trained on."""
    trained_on = getattr(metric.net, 'info', {}).get('dataset')
    return f'trained on {trained_on}' if trained_on else 'zero-shot'


def _note_seconds(file: Path, seconds: float) -> None:
    with whole_file(file.with_suffix('.seconds.json')) as part:
        part.write_text(json.dumps(seconds))


def _seconds(file: Path) -> float:
    note = file.with_suffix('.seconds.json')
    return float(json.loads(note.read_text())) if note.is_file() else math.nan


def check_names(metrics: Sequence[str]) -> None:
    """Raise a SourceError for a name that pyiqa does not know, before anything is computed."""
    import pyiqa

    known = pyiqa.list_models(metric_mode='NR')
    for name in metrics:
        if name not in known:
            raise SourceError(f'--metrics {name}: pyiqa has no such no-reference metric; "pyiqa -ls" lists them.')
