"""What ``moeagiqa score`` and ``moeagiqa rank`` are asked to do, and such a job under way."""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .output import Key
from .result import Result
from .score_formats import Row
from .sources import PromptChoice


@dataclass
class Job:
    """What ``moeagiqa score`` and ``moeagiqa rank`` are asked to do.

    Attributes:
        paths: images, folders and patterns.
        prompts: where their prompts come from.
        output: where rows are written; ``STREAM`` for standard output, None for nowhere.
        metric: the name of any no-reference metric of pyiqa.
        options: of ``create_metric``, by name; those that are None are left out.
        safe_cells: whether a CSV marks texts that a spreadsheet would take for a formula.
    """

    paths: Sequence[str]
    prompts: PromptChoice
    output: Path | None
    metric: str
    options: Mapping[str, Any]
    safe_cells: bool = False


@dataclass
class Run:
    """A job under way.

    Attributes:
        results: to be asked for one by one. What fails is said, and rows are written where there is an output; closing them
            closes the output.
        lower_better: of the metric.
        numbers: the columns of numbers that stand beside a score.
        sources: where the prompts of the images so far are from, as ``tallied`` counts them.
        changed: path and prompt of the output's rows that were dropped, as their images have changed.
    """

    results: Generator[Result, None, None]
    lower_better: bool
    numbers: list[str]
    sources: Counter[str]
    changed: Collection[Key] = ()


def ranking(lower_better: bool, is_ranked: bool) -> Callable[[list[Row]], list[Row]] | None:
    """How the rows of an output are sorted when it is closed; None where they stay as they came."""

    def sort(rows: list[Row]) -> list[Row]:
        from .tables import ranked_rows

        return ranked_rows(rows, lower_better)

    return sort if is_ranked else None
