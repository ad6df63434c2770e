"""Metrics on data sets: each score is computed once and kept; what cannot be had is a row that says why."""

import hashlib
import json
import math
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from torch import nn
from tqdm import tqdm

from ..data.info import dataset_info
from ..data.table import TableError, read_mos_table
from ..plugin import METRICS
from ..scoring.command import made_by, make_metric
from ..scoring.output import ScoreFile
from ..scoring.run import score_items
from ..scoring.sources import Item, SourceError
from ..whole_file import whole_file

PATIENCE = 3.0  # seconds


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
        mos_range: the data set's, or the lowest and highest MOS there.
    """

    metric: str
    data: str
    table: pd.DataFrame | None = None
    how: str = ''
    reason: str = ''
    seconds: float = math.nan
    parameters: int = 0
    mos_range: tuple[float, float] = (0.0, 1.0)


class Rated(NamedTuple):
    """A data set: columns path, prompt, mos and perhaps generator, a hash of each image's file, and the MOS range."""

    table: pd.DataFrame
    content: list[str]
    mos_range: tuple[float, float]


def read_rated(path: Path, target: str, split: str | None = None) -> Rated:
    """A data set's images and their MOS.

    Args:
        path: CSV, JSON lines or Parquet with columns path, prompt and ``target``. A data set of this package is known by the
            file's name, and its MOS are checked against its range.
        target: the MOS column.
        split: ``COLUMN=VALUE`` for some of the rows, as in ``prompt_0=test``.

    Raises:
        TableError: for a table that cannot be used.
    """
    known = dataset_info().get(path.stem, {}).get('mos_range')
    table = read_mos_table(path, None, [target], known or (-math.inf, math.inf))
    if split is not None:
        column, _, value = split.partition('=')
        if column not in table.columns or not value:
            raise TableError(f'{path}: --split {split} must be COLUMN=VALUE with a column of the table.')
        table = table[table[column].astype(str) == value]
    if len(table) < 3 or table[target].nunique() < 2:
        raise TableError(
            f'{path}: {len(table)} images are left, too few to correlate; give at least three that differ.'
        )
    columns = [column for column in ('path', 'prompt', 'generator') if column in table]
    table = table[columns].assign(mos=table[target]).reset_index(drop=True)
    content = [hashlib.sha256(Path(image).read_bytes()).hexdigest() for image in table['path']]
    return Rated(table, content, tuple(known or (table['mos'].min(), table['mos'].max())))


def run(metrics: Sequence[str], data: dict[str, Rated], target: str, folder: Path) -> list[Entry]:
    """All metrics on all data sets; a run that was cut goes on, and another metric is computed alone.

    Args:
        metrics: names of pyiqa's no-reference metrics. Those of this package score the target, where they have it.
        data: name -> what ``read_rated`` gave.
        target: what the MOS are of.
        folder: where scores are kept.
    """
    entries = []
    with _no_waiting_for_the_hub():
        for name in metrics:
            try:
                metric, reason = make_metric(name, {'target': target} if name in METRICS else {}), ''
            except (ValueError, OSError) as error:  # all of this package's own errors are ValueErrors
                metric, reason = None, str(error).removeprefix(f'--metric {name}: ')
            for place, rated in data.items():
                missing = Entry(name, place, reason=reason)
                entries.append(missing if metric is None else _entry(name, metric, place, rated, folder))
    return entries


@contextmanager
def _no_waiting_for_the_hub() -> Iterator[None]:
    """Where there is no way to the hub, its client is told so: it would try for a minute for each metric."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=PATIENCE).close()  # by the user's proxies and mirror
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _entry(name: str, metric: Any, data: str, rated: Rated, folder: Path) -> Entry:
    facts = made_by(name, metric)
    file = folder / 'scores' / f'{data}-{name}-{_short(facts)}.parquet'
    entry = Entry(name, data, how=_how(metric), parameters=_parameters(metric.net), mos_range=rated.mos_range)
    output = ScoreFile(file, facts)
    try:
        entry.reason = _score_missing(metric, rated, output, f'{name} on {data}')
        scores = {(row['path'], row['prompt']): row['score'] for row in output.rows}
    finally:
        output.close()
    entry.seconds = _seconds(file)
    if not entry.reason:
        sign = -1 if metric.lower_better else 1
        score = [sign * scores[key] for key in zip(rated.content, rated.table['prompt'], strict=True)]
        entry.table = rated.table.drop(columns='path').assign(score=score)
    return entry


def _parameters(network: nn.Module) -> int:
    """A metric's parameters, with those that pyiqa hides in a list so that they are not saved, as of CLIP."""
    lists = [value for value in vars(network).values() if isinstance(value, list)]
    hidden = [part for parts in lists for part in parts if isinstance(part, nn.Module)]
    return sum(tensor.numel() for module in (network, *hidden) for tensor in module.parameters())


def _score_missing(metric: Any, rated: Rated, output: ScoreFile, title: str) -> str:
    """Score the images whose content is not in the file yet; why some could not be, or ''."""
    done, table = {(row['path'], row['prompt']) for row in output.rows}, rated.table
    todo = {
        (key, prompt): Item(Path(path), prompt)
        for key, path, prompt in zip(rated.content, table['path'], table['prompt'], strict=True)
        if (key, prompt) not in done
    }
    failed, start = [], time.perf_counter()
    results = score_items(metric, todo.values())
    for (key, prompt), result in zip(todo, _shown(results, len(todo), title), strict=True):
        if result.score is None:
            failed.append(f'{result.path}: {result.reason}')
        else:
            output.add(key, prompt, result.score)
    if todo and not done and not failed:  # of a few images the first, slow one would tell
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
