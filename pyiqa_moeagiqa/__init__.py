"""MoE-AGIQA for pyiqa: how good is an AI-generated image for its prompt?

Importing this package registers the metric with pyiqa, whichever of the two is imported first. An installed wheel registers
it without an import. The package stays light: torch is imported when a metric is made, or when ``score``, ``score_matrix``,
``score_dataset`` or ``rank`` is first used.
"""

from . import plugin

TYPE_CHECKING = False  # importing typing's would slow each start of Python
if TYPE_CHECKING:
    from .scoring.api import rank, score, score_matrix
    from .scoring.dataset_columns import score_dataset

__version__ = '0.1.0'
__all__ = ['rank', 'score', 'score_dataset', 'score_matrix']

plugin.install()


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from .scoring import api, dataset_columns

    return getattr(dataset_columns if name == 'score_dataset' else api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
