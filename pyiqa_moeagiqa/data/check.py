"""``moeagiqa data check``: report what a table of images, prompts and MOS holds, and every fault in it."""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median_low
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..archs.config import TARGETS, MoEAGIQAConfig
from ..archs.tokenizer import PromptTokenizer, bert_tokenizer, tokenize
from ..checkpoints import find, load_network
from .columns import find_column, with_our_names
from .pictures import Picture, for_each, look_at
from .splits import LETTERS
from .table import Check, TableError, as_numbers, is_text, locate, mos_checks, read_table
from .table_files import row_numbers

PARTS = set(filter(None, LETTERS.values()))
CUT_AT = 'cut_at_'  # and the number of tokens: how many prompts have more
BINS = 10


class Problem(NamedTuple):
    """One kind of fault: a description, the column, and the numbers and cells of the rows at fault."""

    problem: str
    column: str
    rows: list[int]
    cells: list[Any]


class Report(NamedTuple):
    """A table's facts by topic, and its problems; a table without problems can be trained on."""

    file: str
    rows: int
    images: dict[str, Any]
    prompts: dict[str, Any]
    mos: dict[str, dict[str, Any]]
    splits: dict[str, dict[str, int]]
    problems: list[Problem]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as values that JSON can hold."""
        problems = [problem._asdict() | {'cells': [str(cell) for cell in problem.cells]} for problem in self.problems]
        return self._asdict() | {'problems': problems}


def check_table(
    path: Path | str,
    targets: Sequence[str] | None = None,
    mos_range: tuple[float, float] | None = None,
    weights: str | None = None,
) -> Report:
    """Look at every row and image of a table.

    Args:
        path: CSV, JSON lines or Parquet with columns path (relative to the table), prompt and MOS, as training reads it.
        targets: the MOS columns; default: those of quality, alignment and authenticity that the table has.
        mos_range: lowest and highest possible MOS; default: any number is taken.
        weights: a checkpoint or model name, whose tokenizer and ``prompt_tokens`` count; default: BERT's tokenizer and 35.

    Raises:
        CheckpointError: for weights that cannot be obtained or used.
        TableError: for a file that is no such table; faults in its rows are in the report instead.
    """
    if mos_range and not -math.inf < mos_range[0] < mos_range[1] < math.inf:
        raise TableError(
            f'The MOS range is {mos_range[0]:g} to {mos_range[1]:g}: give two finite numbers, the lower one first.'
        )
    reading = _reading(weights)
    table = read_table(path, ['path', 'prompt', *(targets or [])])
    targets = targets or [target for target in TARGETS if find_column(table.columns, target) is not None]
    table = with_our_names(table, targets)
    if not targets:
        raise TableError(f'{path}: none of its columns is {", ".join(TARGETS)}; name the MOS columns by --targets.')
    located, _ = locate(table['path'], [Path(path).parent, Path()])
    images = [image and os.path.normpath(image) for image in located]
    different = sorted({image for image in images if image and Path(image).is_file()})
    looks = dict(zip(different, for_each(different, look_at), strict=True))
    splits = _split_columns(table, targets)
    checks = [
        *_image_checks(images, looks),
        *_prompt_checks(table['prompt']),
        *_mos_checks(table, targets, mos_range),
        *_split_checks(splits),
    ]
    return Report(
        file=str(path),
        rows=len(table),
        images=_image_facts([look for look in looks.values() if isinstance(look, Picture)]),
        prompts=_prompt_facts(table['prompt'], *reading),
        mos={target: _mos_facts(as_numbers(table[target]), mos_range) for target in targets},
        splits={str(column): _split_facts(splits[column], table['prompt']) for column in splits},
        problems=list(_problems(checks, table, row_numbers(Path(path), len(table)))),
    )


def _problems(checks: Iterable[Check], table: pd.DataFrame, numbers: Sequence[int]) -> Iterator[Problem]:
    for check in checks:
        places = np.flatnonzero(~np.asarray(list(check.good), dtype=bool))
        if len(places):
            cells = table[check.column].tolist()
            rows, at_fault = [numbers[place] for place in places.tolist()], [cells[place] for place in places]
            yield Problem(check.problem, check.column, rows, at_fault)


def _image_checks(images: Sequence[str | None], looks: dict[str, Picture | str]) -> list[Check]:
    times = Counter(images)
    damaged = {image for image, look in looks.items() if isinstance(look, str)}
    return [
        Check([image is not None for image in images], 'there is no path', 'path'),
        Check([not image or image in looks for image in images], 'there is no such image file', 'path'),
        Check([image not in damaged for image in images], 'the image cannot be read or is damaged', 'path'),
        Check([not image or times[image] == 1 for image in images], 'the same path appears twice', 'path'),
        *[
            Check([image not in names for image in images], 'the same picture is there under different names', 'path')
            for names in _copies(looks)
        ],
    ]


def _copies(looks: dict[str, Picture | str]) -> list[set[str]]:
    """Return, for each picture that is there under several file names, the set of these names."""
    same = defaultdict(set)
    for image, look in looks.items():
        if isinstance(look, Picture):
            same[look.content].add(image)
    return [names for names in same.values() if len(names) > 1]


def _prompt_checks(prompts: pd.Series) -> list[Check]:
    text = is_text(prompts)
    empty = [isinstance(cell, str) and not cell.strip() for cell in prompts]
    has_none = all(empty)  # a set of photographs has no prompts: that is no fault
    return [
        Check(text, 'the prompt is not text', 'prompt'),
        Check([has_none or not cell for cell in empty], 'the prompt is empty', 'prompt'),
    ]


def _mos_checks(table: pd.DataFrame, targets: Sequence[str], mos_range: tuple[float, float] | None) -> list[Check]:
    if mos_range:
        return mos_checks(table, targets, mos_range)
    return [Check(np.isfinite(as_numbers(table[t])), f'column {t!r} holds no number', t) for t in targets]


def _split_columns(table: pd.DataFrame, targets: Sequence[str]) -> pd.DataFrame:
    """Return the column ``split`` and every other whose cells are mostly train, val or test; '' for a missing value."""
    words = table.drop(columns=['path', 'prompt', *targets]).astype(object).map(_as_word)
    named = [name for name in words.columns if name == 'split' or words[name].isin(PARTS).mean() > 0.5]
    return words[named]


def _as_word(cell: Any) -> str:
    missing = cell is None or (isinstance(cell, float) and math.isnan(cell))
    return '' if missing else str(cell)


def _split_checks(splits: pd.DataFrame) -> list[Check]:
    return [
        Check(splits[column].isin(PARTS | {''}), f'column {column!r} is none of train, val, test', str(column))
        for column in splits
    ]


def _image_facts(pictures: Sequence[Picture]) -> dict[str, Any]:
    sizes = sorted((picture.width * picture.height, picture.width, picture.height) for picture in pictures)
    facts = {'readable': len(pictures), 'kinds': dict(Counter(picture.kind for picture in pictures).most_common())}
    if sizes:
        named = {'smallest': sizes[0], 'median': median_low(sizes), 'largest': sizes[-1]}
        facts |= {name: [width, height] for name, (_, width, height) in named.items()}
    return facts


def _reading(weights: str | None) -> tuple[int, PromptTokenizer]:
    """How many tokens of a prompt a network reads, and its tokenizer."""
    if weights is None:
        return MoEAGIQAConfig().prompt_tokens, bert_tokenizer()
    network, _ = load_network(find(weights))
    return network.config.prompt_tokens, network.tokenizer


def _prompt_facts(prompts: pd.Series, most: int, tokenizer: PromptTokenizer) -> dict[str, Any]:
    times = Counter(cell for cell in prompts if isinstance(cell, str) and cell.strip())
    if not times:
        return {'different': 0}
    _, mask, cut = tokenize(list(times), most, tokenizer)
    lengths = mask.sum(1) + mask.new_tensor(cut)
    return {
        'different': len(times),
        'images_per_prompt': _three(times.values()),
        'tokens': _three(lengths.tolist()),
        f'{CUT_AT}{most}': sum(tokens > 0 for tokens in cut),
    }


def _three(numbers: Iterable[int]) -> list[int]:
    """The smallest, the median and the largest."""
    numbers = sorted(numbers)
    return [numbers[0], median_low(numbers), numbers[-1]]


def _mos_facts(numbers: pd.Series, mos_range: tuple[float, float] | None) -> dict[str, Any]:
    numbers = numbers[np.isfinite(numbers)]
    if numbers.empty:
        return {'numbers': 0}
    counts, edges = np.histogram(numbers, BINS, mos_range)
    return {
        'numbers': len(numbers),
        'lowest': numbers.min(),
        'mean': numbers.mean(),
        'highest': numbers.max(),
        'edges': edges.tolist(),
        'counts': counts.tolist(),
    }


def _split_facts(column: pd.Series, prompts: pd.Series) -> dict[str, int]:
    """Count the rows in each part and in none, and the prompts that stand in more than one part."""
    counts = {part: int((column == part).sum()) for part in ('train', 'val', 'test')}
    sides = defaultdict(set)
    for prompt, part in zip(prompts, column, strict=True):
        if part in PARTS and isinstance(prompt, str) and prompt.strip():
            sides[prompt].add(part)
    torn = sum(len(parts) > 1 for parts in sides.values())
    return counts | {'none': int((column == '').sum()), 'prompts_in_more_than_one': torn}
