"""``moeagiqa score``: find images and prompts, show progress and a table, report what failed."""

from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from rich.table import Table
from tqdm import tqdm

from ..console import console, plain
from ..console import say as say_line
from ..plugin import OURS
from .finished import asked, finished
from .job import Job, Run, ranking
from .metric import made_by, make_metric
from .output import Key, ScoreFile, check_output
from .protocol import Metric
from .result import Result, changed_rows
from .scale import number_columns, scale_of
from .score_stream import STREAM, ScoreStream
from .sources import Item, SourceError, find_images, find_items, require_prompt, sources_line, tallied

if TYPE_CHECKING:
    import pandas as pd

FORMS = {'score': '.4f', 'mos': '.2f', 'low': '.2f', 'high': '.2f', 'percentile': '.0f'}


def score(job: Job, top: int | None = None) -> int:
    """Score, print and write; returns how many images could not be scored.

    Args:
        job: what to score.
        top: how many of the best are printed; default: all, or none if there is an output.

    Raises:
        ValueError: for paths, prompts, metric or output that cannot be used.
    """
    if top and job.output == STREAM:
        raise SourceError('--top: with --output - all scores are printed as they come; leave one of the two out.')
    run = start(job)
    is_shown = top is not None or not job.output
    scored: list[Result] = []
    tally: Counter[str] = Counter()
    with closing(run.results):
        for result in counted(run, tally):
            if result.score is not None and is_shown:
                scored.append(result)
    say_sources(job, run)
    if job.output and job.output != STREAM:
        console().print(written_line(job, tally), soft_wrap=True)
    if scored:
        from .tables import as_table  # pandas: only for a printed table

        scored.sort(key=lambda result: result.score or 0.0, reverse=not run.lower_better)
        console().print(shown(as_table(scored[:top], run.numbers), ['path', 'prompt'], job.metric))
    return tally['failed']


def counted(run: Run, tally: Counter[str]) -> Iterator[Result]:
    """Yield the results; ``tally`` counts their outcomes, and under 'redone' the new scores that replace older ones."""
    for result in run.results:
        tally[result.outcome] += 1
        tally['redone'] += result.outcome == 'new' and (result.path, result.prompt) in run.changed
        yield result


def written_line(job: Job, tally: Mapping[str, int]) -> str:
    """Say how many scores are in the output, and how many of them were there already or were redone."""
    known, redone = tally['known'], tally['redone']
    parts = [f'{known} {"was" if known == 1 else "were"} there already'] if known else []
    if redone:
        verb, whose = ('was', 'its image has') if redone == 1 else ('were', 'their images have')
        parts.append(f'{redone} {verb} redone, as {whose} changed')
    more = f' ({"; ".join(parts)})' if parts else ''
    return f'{known + tally["new"]} scores in {plain(job.output)}{more}'


def start(job: Job, is_ranked: bool = False) -> Run:
    """Begin a job: find the images and prompts, load the metric, open the output.

    Args:
        job: what to score.
        is_ranked: whether the output is sorted prompt by prompt, with a rank.

    Raises:
        ValueError: as ``score`` does.
    """
    if job.output and job.output != STREAM:
        check_output(job.output)
        if run := finished(job, is_ranked):
            return run
    return _start(job, is_ranked)


def _start(job: Job, is_ranked: bool) -> Run:
    from .run import takes_prompts  # loads torch, which a run with nothing left to do spares

    images = list(find_images(job.paths))  # these two raise errors for paths and prompts that cannot be used
    items = find_items(job.paths, *job.prompts, images)
    if job.metric in OURS:
        items = require_prompt(items)  # fails before a large network is loaded
    metric = make_metric(job.metric, job.options)
    items = require_prompt(items) if takes_prompts(metric) else items
    numbers = number_columns(metric)
    output = _open_output(job, metric, is_ranked)
    changed: Collection[Key] = ()
    if isinstance(output, ScoreFile) and output.rows:
        changed = changed_rows(images, output.rows)
        output.drop(changed)
    sources: Counter[str] = Counter()
    results = _results(metric, tallied(items, sources), len(images), output)
    return Run(results, metric.lower_better, numbers, sources, changed)


def _open_output(job: Job, metric: Metric, is_ranked: bool) -> ScoreFile | ScoreStream | None:
    if job.output is None:
        return None
    facts = made_by(job.metric, metric) | {'lower_better': metric.lower_better, 'asked': asked(job)}
    with_numbers = scale_of(metric) is not None
    if job.output == STREAM:
        return ScoreStream(facts, with_numbers, job.safe_cells)
    return ScoreFile(job.output, facts, with_numbers, ranking(metric.lower_better, is_ranked), job.safe_cells)


def _results(
    metric: Metric, items: Iterable[Item], count: int, output: ScoreFile | ScoreStream | None
) -> Generator[Result, None, None]:
    from .run import score_items  # loads torch

    try:
        for result in tqdm(score_items(metric, items, output), total=count, unit='image', disable=None):
            say(result)
            yield result
    finally:
        if output:
            output.close()


def say_sources(job: Job, run: Run) -> None:
    """Say where prompts were found, if they were looked for."""
    if job.prompts.is_looked_up and any(run.sources.keys() - {''}):
        say_line(sources_line(run.sources))


def say(result: Result) -> None:
    """Print an image's notes, and why it has no score, without breaking the progress line."""
    for note in result.notes:
        say_line(note if note.startswith(result.path) else f'{result.path}: {note}')
    if result.score is None:
        say_line(f'{result.path}: not scored: {result.reason}')


def shown(table: 'pd.DataFrame', texts: Sequence[str], metric_name: str) -> Table:
    """Make the printed form of a table of scores: the columns ``texts``, and the numbers that it has, rounded."""
    numbers = [name for name in FORMS if name in table and table[name].notna().any()]
    printed = Table()
    for name in texts:
        printed.add_column(name, overflow='fold')  # a path that is cut short is useless
    for name in numbers:
        printed.add_column(metric_name if name == 'score' else name, justify='right')
    for row in table.to_dict('records'):
        printed.add_row(*(plain(row[name]) for name in texts), *(format(row[name], FORMS[name]) for name in numbers))
    return printed
