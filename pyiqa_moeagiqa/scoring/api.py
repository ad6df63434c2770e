"""``pyiqa_moeagiqa.score``, ``score_matrix`` and ``rank``: they take images in many forms and return a pandas table."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from ..data.columns import find_column
from ..images.read import read_image
from ..options import OptionError
from .inputs import Prompts, items_of
from .metric import make_metric
from .protocol import Metric
from .run import as_batch, reason_of, score_items, takes_prompts
from .scale import number_columns
from .score_formats import RANK
from .sources import Item, SourceError
from .tables import as_table, ranked


def score(
    images: Any,
    prompts: Prompts = None,
    *,
    metric: str | Metric = 'moeagiqa',
    target: str | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Score images for their prompts: one row per image, in the order given.

    An image that fails does not stop the others: its score is NaN and ``reason`` says why.

    Args:
        images: a file, folder or pattern, or a list of files; a PIL image, a numpy array (H, W, 3) or (N, H, W, 3) of uint8 or
            of floats in [0, 1], a tensor (3, H, W) or (N, 3, H, W) in [0, 1], or a list of these; a Hugging Face ``Dataset``, a
            torch ``Dataset``, a ``DataLoader``, a WebDataset or a pandas table whose rows are (image, prompt), or have ``image``
            and ``prompt`` (or another name in ``data.columns.NAMES``).
        prompts: one for all images, a list with one for each, or the path of a table as ``moeagiqa score --prompts`` takes
            it. Default: those that come with the images.
        metric: the name of any no-reference metric of pyiqa, or a metric that ``create_metric`` made, which saves making
            it again.
        target: 'quality' or another target that the checkpoint has.
        options: of ``create_metric``, such as ``crops=15`` or ``long_prompts='window'``.

    Returns:
        Columns path (for an image that is not a file, its id in the data set or 'image 0'), prompt and score; for this
        package's metrics mos, low, high and percentile (see ``scoring.scale.Scale``), and the same for the checkpoint's other
        targets under their names; then reason and notes. A pandas table's other columns follow. One whose name is taken gets
        the prefix given_, such as given_mos. The table keeps its index.

    Raises:
        ValueError: for images, prompts, a metric or options that cannot be used at all.

    Example:
        >>> score(['cat.png', 'dog.png'], ['a cat', 'a dog'])[['path', 'mos']]  # doctest: +SKIP
    """
    made = _metric(metric, target, options)
    results = tqdm(score_items(made, items_of(images, prompts)), total=_count(images), unit='image', disable=None)
    table = as_table(results, number_columns(made))
    return _with_other_columns(table, images) if isinstance(images, pd.DataFrame) else table


def _count(images: Any) -> int | None:
    """The number of images; None if it is not known before they are read."""
    is_one = isinstance(images, str | Path) or not hasattr(images, '__len__')
    return None if is_one else len(images)


def _with_other_columns(table: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """Add the other columns of the given table to the table of scores."""
    if len(table) != len(given):  # a cell can name a folder, which gives several rows
        return table
    images = {find_column(given.columns, name) for name in ('path', 'prompt')}
    others = given[[name for name in given.columns if name not in images]]
    others = others.rename(columns={name: f'given_{name}' for name in (RANK, *table.columns)})
    return pd.concat([table.set_axis(given.index), others], axis=1)


def rank(
    images: Any,
    prompts: Prompts = None,
    *,
    metric: str | Metric = 'moeagiqa',
    target: str | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Score as ``score`` does, then sort prompt by prompt, the best first.

    The column ``rank`` counts from 1 on; it is ``<NA>`` for an image without a score.
    """
    made = _metric(metric, target, options)
    return ranked(score(images, prompts, metric=made), made.lower_better)


def score_matrix(
    images: Any, prompts: Sequence[str], *, metric: str | Metric = 'moeagiqa', target: str | None = None, **options: Any
) -> pd.DataFrame:
    """Score every image for every prompt; each image is encoded once.

    Args:
        images, metric, target, options: as ``score`` takes them; prompts that come with the images are ignored.
        prompts: all different.

    Returns:
        One row per image, with its path as the index, and one column per prompt. An image that fails has NaN and gives a
        warning.

    Raises:
        ValueError: as ``score`` does, and for a prompt that appears twice or a metric that does not look at prompts.
    """
    prompts = [prompts] if isinstance(prompts, str) else list(prompts)
    twice = next((prompt for place, prompt in enumerate(prompts) if prompt in prompts[:place]), None)
    if twice is not None or not prompts or not all(isinstance(prompt, str) for prompt in prompts):
        raise SourceError(f'prompts is {prompts!r:.80}: it must be one or more different strings.')
    made = _metric(metric, target, options)
    if not takes_prompts(made):
        raise SourceError(f'The metric {made.metric_name} does not look at prompts: its score is the same for all.')
    rows, paths = [], []
    for item in items_of(images, prompts[0]):
        paths.append(str(item.path))
        try:
            rows.append(_row(made, item, prompts))
        except Exception as error:  # a decoder can raise anything; the other images are still scored
            rows.append([math.nan] * len(prompts))
            warnings.warn(f'{item.path}: not scored: {reason_of(error, str(item.path))}', stacklevel=2)
    return pd.DataFrame(rows, pd.Index(paths, name='path'), pd.Index(prompts, name='prompt'), dtype=float)


def _row(metric: Metric, item: Item, prompts: list[str]) -> list[float]:
    """Score one image for all prompts."""
    if isinstance(item.image, Exception):
        raise item.image
    image = str(item.path) if item.image is None else item.image
    if hasattr(metric.net, 'matrix'):
        return metric.net.matrix(image, prompts)[0].tolist()
    image = image if isinstance(image, str) else as_batch(read_image(image))
    return [float(metric(image, caption_list=[prompt])) for prompt in prompts]


def _metric(metric: str | Metric, target: str | None, options: dict[str, Any]) -> Metric:
    if isinstance(metric, str):
        return make_metric(metric, options if target is None else options | {'target': target})
    given = [*options, *(['target'] if target is not None else [])]
    if given:
        raise OptionError(f'{given[0]} was given with a metric that is made already: give it to create_metric.')
    if not hasattr(metric, 'net'):
        raise OptionError(f'metric is {metric!r:.60}: it must be a name, or what pyiqa.create_metric made.')
    return metric
