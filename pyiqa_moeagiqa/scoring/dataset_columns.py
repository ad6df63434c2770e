"""``pyiqa_moeagiqa.score_dataset``: adds scores to a Hugging Face data set as columns, also while it streams."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from ..options import shown
from .dataset_rows import image_key, prompt_key, require_keys
from .inputs import items_of
from .metric import made_by, make_metric
from .protocol import Metric
from .run import score_items, takes_prompts
from .scale import number_columns
from .sources import SourceError

BATCH = 32  # rows; each batch ends with the images in memory being scored, so few rows would leave a GPU idle
TEXTS = ('reason', 'notes')


def score_dataset(
    dataset: Any,
    prompt: str | None = None,
    *,
    metric: str = 'moeagiqa',
    target: str | None = None,
    prefix: str = '',
    **options: Any,
) -> Any:
    """Add the columns of ``score`` to a Hugging Face data set, by its ``map``; rows, order and other columns stay.

    An image that fails does not stop the others: its numbers are None and ``reason`` says why.

    Args:
        dataset: a ``Dataset``, which is scored now, or an ``IterableDataset``, which is scored while it is read. The image
            column holds pictures, bytes or paths; names of columns are those of ``score`` and WebDataset's endings.
        prompt: one for all images. Default: the data set's column.
        metric: the name of any no-reference metric of pyiqa.
        target: 'quality' or another target that the checkpoint has.
        prefix: put before the names of the new columns.
        options: of ``create_metric``.

    Returns:
        A data set of the same kind. ``datasets`` keeps the scores of a ``Dataset`` in its cache, and computes them again for
        other weights or options.

    Raises:
        ValueError: for a data set, metric or options that cannot be used, and for a new column whose name is taken.

    Example:
        >>> score_dataset(datasets.load_dataset('imagefolder', data_dir='images')['train'])['mos']  # doctest: +SKIP
    """
    from datasets import Dataset, Features, IterableDataset

    if not isinstance(dataset, Dataset | IterableDataset):
        raise SourceError(
            f'The data set is a {type(dataset).__name__}: give a Dataset or an IterableDataset, such as one split of it.'
        )
    if not isinstance(prompt, str | None):
        raise SourceError(
            f'prompt is {shown(prompt)}: it must be one string for all images, or a column of the data set.'
        )
    streams = isinstance(dataset, IterableDataset)
    features = dataset.features  # None for a stream of unknown columns
    add = ScoreColumns(metric, {**options, 'target': target}, prompt, prefix, _pictures(features or {}))
    if features is None:
        return dataset.map(add, batched=True, batch_size=BATCH)
    image, _ = add.keys_in(features)
    # While they are scored, images stay encoded: ``datasets`` would stop at the first damaged one, and write all of them anew.
    encoded = dataset.cast_column(image, _encoded(features[image]))
    columns = Features(encoded.features | add.features)
    if streams:  # types that map is given would be final: the images would stay encoded
        return encoded.map(add, batched=True, batch_size=BATCH).cast(Features(columns | {image: features[image]}))
    scored = encoded.map(add, batched=True, batch_size=BATCH, features=columns)
    return scored.cast_column(image, features[image])


class ScoreColumns:
    """What ``map`` calls with a batch of rows: it returns the new columns.

    All attributes but the metric are what the columns depend on: ``datasets`` recognises earlier results by them.
    """

    def __init__(
        self, metric: str, options: Mapping[str, Any], prompt: str | None, prefix: str, image: str | None = None
    ):
        self.metric_name, self.options, self.prefix, self.image = metric, dict(options), prefix, image
        self.prompt = prompt if takes_prompts(self.metric) else ''
        self.numbers = ['score', *number_columns(self.metric)]
        self.made_by = made_by(metric, self.metric)

    @cached_property
    def metric(self) -> Metric:
        return make_metric(self.metric_name, self.options)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != 'metric'}

    @property
    def features(self) -> dict[str, Any]:
        """The new columns with their types; without them a first batch that fails would make the columns empty for good."""
        from datasets import Value

        types = dict.fromkeys(self.numbers, 'float64') | dict.fromkeys(TEXTS, 'string')
        return {self.prefix + name: Value(kind) for name, kind in types.items()}

    def keys_in(self, row: Mapping[str, Any]) -> tuple[Any, Any]:
        """The names of image and prompt among the columns of a data set, whose types or values are given.

        Raises:
            SourceError: for columns that are missing, and for a new one whose name is taken.
        """
        require_keys(row, 'The data set', with_prompts=self.prompt is None)
        taken = next((name for name in self.features if name in row), None)
        if taken is not None:
            raise SourceError(f'The data set has a column {taken!r} already: rename it, or give a prefix.')
        return self.image or image_key(row), prompt_key(row)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        image, text = self.keys_in(batch)
        rows = [{image: _readable(value)} for value in batch[image]]
        if self.prompt is None:
            rows = [row | {text: prompt} for row, prompt in zip(rows, batch[text], strict=True)]
        results = list(score_items(self.metric, items_of(rows, self.prompt)))
        said = [
            {'score': result.score} | dict(result.numbers) | {'reason': result.reason, 'notes': '; '.join(result.notes)}
            for result in results
        ]
        return {self.prefix + name: [row.get(name) for row in said] for name in (*self.numbers, *TEXTS)}


def _pictures(features: Mapping[str, Any]) -> str | None:
    """The column that holds pictures, which comes before one of file names; None if there is none of a known name."""
    from datasets import Image

    return image_key({name: kind for name, kind in features.items() if isinstance(kind, Image)})


def _encoded(feature: Any) -> Any:
    """A column's type with its images as bytes and paths."""
    from datasets import Image

    return replace(feature, decode=False) if isinstance(feature, Image) else feature


def _readable(image: Any) -> Any:
    """An image as ``items_of`` takes it; a file in an archive or at an address is read as ``datasets`` reads it."""
    from datasets import Image

    if isinstance(image, list):
        return SourceError(f'the row has a list of {len(image)} in the place of its image')
    path = image.get('path') if isinstance(image, Mapping) and not image.get('bytes') else None
    if path is None or '://' not in path:
        return image
    try:
        return Image().decode_example(image)
    except Exception as error:  # file systems and decoders can raise anything; the other images are still scored
        return error
