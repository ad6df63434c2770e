"""``moeagiqa score``: finds images and prompts, shows progress and a table, reports what failed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from ..plugin import METRICS
from .output import ScoreFile
from .run import Result, score_items
from .sources import Item, SourceError, find_images, with_prompts


def score(
    paths: Sequence[str],
    prompt: str | None,
    prompts: Path | None,
    output: Path | None,
    metric_name: str,
    crops: int | None,
    weights: str | None,
) -> int:
    """Score, print, write; returns how many images could not be scored.

    Raises:
        ValueError: for paths, prompts, metric or output that cannot be used.
    """
    items = with_prompts(find_images(paths), paths, prompt, prompts)
    options = {'crops': crops, 'pretrained_model_path': weights}
    options = {name: value for name, value in options.items() if value is not None}
    metric = make_metric(metric_name, options)
    made_by = {'metric': metric_name, **options, 'weights': getattr(metric.net, 'fingerprint', None)}
    file = ScoreFile(output, made_by) if output else None
    try:
        results = _score_all(metric, items, file)
    finally:
        if file:
            file.close()
    scored = [result for result in results if result.score is not None]
    if output:
        console().print(f'{len(scored)} scores in {output}', highlight=False)
    else:
        console().print(_table(scored, metric_name))
    return len(results) - len(scored)


def _score_all(metric: Any, items: Sequence[Item], file: ScoreFile | None) -> list[Result]:
    results = []
    for result in tqdm(score_items(metric, items, file), total=len(items), unit='image', disable=None):
        results.append(result)
        for note in result.notes:
            tqdm.write(f'{result.path}: {note}', file=_stderr())
        if result.score is None:
            tqdm.write(f'{result.path}: not scored: {result.reason}', file=_stderr())
    return results


def _stderr() -> Any:
    import sys

    return sys.stderr


def make_metric(name: str, options: dict[str, Any]) -> Any:
    """``pyiqa.create_metric`` with one sentence for what pyiqa says by a traceback.

    Raises:
        SourceError: for a name that pyiqa does not know, or options that the metric does not take.
    """
    import logging

    import pyiqa

    if name not in pyiqa.list_models():
        raise SourceError(f'--metric {name}: pyiqa has no such metric; "pyiqa -ls" lists them.')
    if options and name not in METRICS:
        raise SourceError(f'--metric {name} takes no --{"crops" if "crops" in options else "weights"}.')
    logging.getLogger('pyiqa').setLevel(logging.WARNING)
    return pyiqa.create_metric(name, **options)


def _table(results: Sequence[Result], metric_name: str) -> Table:
    table = Table('path', 'prompt', f'{metric_name}')
    for result in sorted(results, key=lambda result: -(result.score or 0)):
        table.add_row(result.path, result.prompt, f'{result.score:.4f}')
    return table


def console() -> Console:
    """For what the command answers: standard output."""
    return Console()
