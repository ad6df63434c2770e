"""``moeagiqa score``: finds images and prompts, shows progress and a table, reports what failed."""

from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table
from tqdm import tqdm

from ..console import console, plain
from ..console import say as say_line
from ..plugin import IMAGE_REWARD, METRICS, OURS
from .output import ScoreFile, check_ending
from .run import Result, score_items, takes_prompts
from .scale import scale_of
from .sources import Item, PromptChoice, SourceError, find_items, require_prompt, sources_line, tallied
from .tables import as_table

# of create_metric's options, where the command has another
OPTION_NAMES = {'pretrained_model_path': 'weights', 'long_prompts': 'long-prompts'}
FORMS = {'score': '.4f', 'mos': '.2f', 'low': '.2f', 'high': '.2f', 'percentile': '.0f'}


@dataclass
class Job:
    """What ``moeagiqa score`` and ``moeagiqa rank`` are asked to do.

    Attributes:
        paths: images, folders and patterns.
        prompts: where their prompts come from.
        output: where rows are written; None for nowhere.
        metric: the name of any no-reference metric of pyiqa.
        options: of ``create_metric``, by name; those that are None are left out.
    """

    paths: Sequence[str]
    prompts: PromptChoice
    output: Path | None
    metric: str
    options: Mapping[str, Any]


def score(job: Job) -> int:
    """Score, print, write; returns how many images could not be scored.

    Raises:
        ValueError: for paths, prompts, metric or output that cannot be used.
    """
    metric, results = start(job)
    scored, written, failed = [], 0, 0
    with closing(results):
        for result in results:
            failed += result.score is None
            written += result.score is not None
            if result.score is not None and not job.output:
                scored.append(result)
    if job.output:
        console().print(f'{written} scores in {job.output}', soft_wrap=True)
    elif scored:
        scored.sort(key=lambda result: result.score, reverse=not metric.lower_better)
        console().print(shown(as_table(metric, scored), ['path', 'prompt'], job.metric))
    return failed


def start(job: Job) -> tuple[Any, Generator[Result, None, None]]:
    """The metric, and results to be asked for one by one: what fails is said, and rows are written where there is an output.

    Closing the results closes the output. Errors as of ``score``.
    """
    if job.output:
        check_ending(job.output)
    items = find_items(job.paths, *job.prompts)  # says what is wrong, too
    count = sum(1 for _ in find_items(job.paths, *job.prompts._replace(prompt_from=None)))
    if job.metric in OURS:
        items = require_prompt(items)  # before a large network is loaded
    metric = make_metric(job.metric, job.options)
    items = require_prompt(items) if takes_prompts(metric) else items
    file = ScoreFile(job.output, made_by(job.metric, metric), scale_of(metric)) if job.output else None
    return metric, _results(metric, items, count, file, job.prompts.is_looked_up)


def made_by(metric_name: str, metric: Any) -> dict[str, Any]:
    """What a metric's scores depend on besides image and prompt."""
    import pyiqa

    return {'metric': metric_name} | getattr(metric.net, 'made_by', {'pyiqa': pyiqa.__version__})


def _results(
    metric: Any, items: Iterable[Item], count: int, file: ScoreFile | None, looked_up: bool
) -> Generator[Result, None, None]:
    tally: Counter[str] = Counter()
    try:
        for result in tqdm(score_items(metric, tallied(items, tally), file), total=count, unit='image', disable=None):
            say(result)
            yield result
    finally:
        if file:
            file.close()
    if looked_up and any(tally.keys() - {''}):
        say_line(sources_line(tally))


def say(result: Result) -> None:
    """Report what was said about an image, and why it has no score, beside the progress line."""
    for note in result.notes:
        say_line(f'{result.path}: {note}')
    if result.score is None:
        say_line(f'{result.path}: not scored: {result.reason}')


def make_metric(name: str, options: Mapping[str, Any]) -> Any:
    """``pyiqa.create_metric`` with one sentence for what pyiqa says by a traceback.

    Args:
        name: of the metric.
        options: of ``create_metric``, by name, ``device`` among them; those that are None are left out.

    Raises:
        SourceError: for a device that is not there, a name that pyiqa does not know, one that needs references, options that the metric does not
            take, or a metric that pyiqa cannot make.
        ValueError: what this package's own metrics say.
    """
    import logging

    import pyiqa

    options = {option: value for option, value in options.items() if value is not None}
    device = _device(options.pop('device', None))
    if name not in pyiqa.list_models():
        raise SourceError(f'--metric {name}: pyiqa has no such metric; "pyiqa -ls" lists them.')
    if name not in pyiqa.list_models(metric_mode='NR'):
        raise SourceError(f'--metric {name}: it compares with a reference image; name a no-reference metric.')
    not_taken = options.keys() - {'pretrained_model_path', *(['dtype'] if name == IMAGE_REWARD else [])}
    if not_taken and name not in METRICS:
        option = min(not_taken)
        raise SourceError(f'--metric {name} takes no --{OPTION_NAMES.get(option, option)}.')
    if options and name not in OURS:
        _require_data(options['pretrained_model_path'])
    logging.getLogger('pyiqa').setLevel(logging.WARNING)
    try:
        return pyiqa.create_metric(name, device=device, **options)
    except Exception as error:  # downloads and missing packages fail in pyiqa by all kinds of exceptions
        if name in OURS:
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(f'--metric {name}: pyiqa cannot make it ({reason}).') from None


def _device(name: Any) -> Any:
    """The device of that name; None where none is named, which lets pyiqa choose."""
    import torch

    if name is None:
        return None
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except Exception as error:  # torch raises many kinds, also for an accelerator that is not there
        reason = str(error).strip().splitlines()[0].rstrip('.')
        raise SourceError(f'--device {name}: it cannot be used ({reason}); name cpu, or leave it out.') from None
    return device


def _require_data(file: str) -> None:
    """pyiqa runs what is pickled in a file; so it is given only those that torch reads as data and nothing else."""
    import torch

    if not Path(file).is_file():
        raise SourceError(f'{file}: there is no such file; give weights that pyiqa can load, as in net_best.pth.')
    try:
        torch.load(file, map_location='meta', weights_only=True)
    except Exception as error:  # of many kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(f'{file}: not loaded, as it is not weights and nothing else ({reason}).') from None


def shown(table: pd.DataFrame, texts: Sequence[str], metric_name: str) -> Table:
    """What is printed of a table of scores: some columns of text, and the numbers that it has, rounded."""
    numbers = [name for name in FORMS if name in table and table[name].notna().any()]
    printed = Table()
    for name in texts:
        printed.add_column(name, overflow='fold')  # a path cut short would be of no use
    for name in numbers:
        printed.add_column(metric_name if name == 'score' else name, justify='right')
    for row in table.to_dict('records'):
        printed.add_row(*(plain(row[name]) for name in texts), *(format(row[name], FORMS[name]) for name in numbers))
    return printed
