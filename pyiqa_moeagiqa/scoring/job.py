"""A job of ``moeagiqa score`` or ``moeagiqa rank``, and a job that is running."""

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
    """A job that is running.

    Attributes:
        results: computed one by one, as they are asked for. Each step prints what failed and writes a row to the output, if
            there is one; closing the generator closes the output.
        lower_better: whether the metric's lower scores are better.
        numbers: the columns of numbers that follow a score.
        sources: where the prompts of the images so far came from, as ``tallied`` counts them.
        changed: path and prompt of the output's rows that were dropped because their images have changed.
    """

    results: Generator[Result, None, None]
    lower_better: bool
    numbers: list[str]
    sources: Counter[str]
    changed: Collection[Key] = ()


def ranking(lower_better: bool, is_ranked: bool) -> Callable[[list[Row]], list[Row]] | None:
    """The function that sorts an output's rows when it is closed; None if they keep their order."""

    def sort(rows: list[Row]) -> list[Row]:
        from .tables import ranked_rows  # pandas: only for a ranking

        return ranked_rows(rows, lower_better)

    return sort if is_ranked else None
