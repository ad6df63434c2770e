"""The model card of a checkpoint: what its header says, as the README.md of a repository on the Hugging Face hub.

The metadata are the hub's: https://huggingface.co/docs/hub/model-cards. A card that is on the hub already keeps its own text.
"""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..archs.config import MoEAGIQAConfig
from ..file_hash import file_hash
from ..markup import escape_markdown, markdown
from ..options import quoted
from .file import CheckpointError, read_header
from .listing import data_set_of, figure_groups

LIBRARY = 'pyiqa-moeagiqa'
TASK = 'image-quality-assessment'
TAGS = (TASK, 'moe-agiqa', 'pyiqa', 'text-to-image')
HUB_METRICS = {'srcc': 'spearmanr', 'plcc': 'pearsonr'}  # the hub's names of ours
# Those of the hub's identifiers that weights and the data they are trained on have.
LICENCES = (
    'apache-2.0', 'bsd-3-clause', 'cc-by-4.0', 'cc-by-nc-4.0', 'cc-by-nc-nd-4.0', 'cc-by-nc-sa-4.0', 'cc-by-nd-4.0',
    'cc-by-sa-4.0', 'cc0-1.0', 'gpl-3.0', 'mit', 'unknown',
)  # fmt: skip
LISTS = ('tags', 'datasets', 'metrics')

TEXT = """
# {title}

A checkpoint of MoE-AGIQA: how good is an AI-generated image for its prompt?

```python
import pyiqa

metric = pyiqa.create_metric('moeagiqa', pretrained_model_path='{address}')
metric('cat.png', caption_list=['a cat in the snow'])
```

This needs the packages pyiqa and pyiqa-moeagiqa. The header of `{file}` holds the network's whole configuration.

{facts}
{figures}"""


def model_card(path: Path, repository: str) -> ModelCard:
    """Make the card of a checkpoint from its header.

    Args:
        path: the checkpoint.
        repository: where it is to lie, as OWNER/NAME.

    Raises:
        CheckpointError: for a file that is no checkpoint.
    """
    config, info = read_header(path)
    title = repository.partition('/')[2]
    licence, licence_name = _licence(info)
    results = list(_results(info))
    data = ModelCardData(
        library_name=LIBRARY,
        tags=list(TAGS),
        datasets=_data_sets(info),
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        model_name=title if results else None,
        eval_results=results or None,
        license=licence,
        license_name=licence_name,
    )
    text = TEXT.format(
        title=title,
        address=f'hf://{repository}/{path.name}',
        file=path.name,
        facts=markdown(pd.DataFrame(_facts(path, config, info), columns=['', ''])),
        figures=_figure_tables(info),
    )
    return ModelCard(f'---\n{data}\n---\n{text}')


def updated(existing: str, card: ModelCard) -> ModelCard:
    """Bring the metadata of a card up to date; its text, its licence and its other metadata stay, and lists are joined.

    Args:
        existing: the README.md on the hub.
        card: of the checkpoint.

    Raises:
        CheckpointError: for a card whose metadata cannot be read.
    """
    try:
        kept = ModelCard(existing)
    except Exception as error:  # yaml raises its own errors, the hub's client others
        raise CheckpointError(
            f'The README.md on the hub has metadata that cannot be read ({quoted(error)}); mend it there.'
        ) from None
    for name in LISTS:
        kept.data[name] = list(dict.fromkeys([*_as_list(kept.data.get(name)), *_as_list(card.data.get(name))])) or None
    for name in ('library_name', 'model_name', 'eval_results'):  # figures of an earlier checkpoint are no longer true
        kept.data[name] = card.data.get(name)
    if not kept.data.get('license'):
        kept.data['license'], kept.data['license_name'] = card.data.get('license'), card.data.get('license_name')
    return kept


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _licence(info: Mapping[str, Any]) -> tuple[str, str | None]:
    """The hub's identifier of the licence that a header begins with; 'other' with its name for one that the hub lacks."""
    said = str(info.get('licence', 'unknown')).strip() or 'unknown'
    first = re.split('[ ,:;(]', said.lower())[0]
    return (first, None) if first in LICENCES else ('other', _slug(said))


def _data_sets(info: Mapping[str, Any]) -> list[str] | None:
    """The names of the training sets, as the hub writes names; what follows a comma describes the set."""
    names = [_slug(name.partition(',')[0]) for name in str(info.get('dataset', 'unknown')).split(' + ')]
    return [name for name in names if name != 'unknown'] or None


def _slug(text: str) -> str:
    """A text as an identifier of the hub: lower case, and a hyphen for all that is neither letter, digit nor dot.

    Example:
        >>> _slug('AGIQA-3K quality')
        'agiqa-3k-quality'
    """
    return re.sub('[^a-z0-9.]+', '-', text.lower())[:90].strip('-.') or 'unknown'


def _results(info: Mapping[str, Any]) -> Iterator[EvalResult]:
    """The header's figures as results of the hub's ``model-index``."""
    for where, figures in figure_groups(info.get('figures', {})):
        name = where or str(info.get('dataset', 'unknown'))
        for figure, value in figures.items():
            if math.isfinite(value):
                yield EvalResult(
                    task_type=TASK,
                    dataset_type=_slug(name),
                    dataset_name=name,
                    metric_type=HUB_METRICS.get(figure, _slug(figure)),
                    metric_name=figure.upper() if figure in HUB_METRICS else figure,
                    metric_value=value,
                )


def _facts(path: Path, config: MoEAGIQAConfig, info: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield 'image encoder', config.visual
    yield 'text encoder', config.semantic
    yield 'scores', ', '.join(config.targets)
    yield 'trained on', data_set_of(info)
    yield 'licence', str(info.get('licence', 'not stated'))
    yield 'SHA-256', file_hash(path)


def _figure_tables(info: Mapping[str, Any]) -> str:
    """One table for each group of figures; empty if the header has none."""
    tables = [
        f'\n**{escape_markdown(where) or "Figures"}**\n\n{markdown(pd.DataFrame([{name: f"{value:.4f}" for name, value in figures.items()}]))}\n'
        for where, figures in figure_groups(info.get('figures', {}))
    ]
    return ''.join(tables)
