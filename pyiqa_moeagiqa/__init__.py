"""MoE-AGIQA for pyiqa: how good is an AI-generated image for its prompt?

Importing this package registers the metric with pyiqa, whichever of the two is imported first. An installed wheel registers
it without an import. The package stays light: torch is imported when a metric is made, or when one of the names below is
first used.
"""

from . import plugin

TYPE_CHECKING = False  # importing typing's would slow each start of Python
if TYPE_CHECKING:
    from .metrics.reward import Reward
    from .metrics.torchmetrics import MoEAGIQAScore as MoEAGIQAScore
    from .scoring.api import rank, score, score_matrix
    from .scoring.dataset_columns import score_dataset

__version__ = '0.1.0'
__all__ = ['Reward', 'rank', 'score', 'score_dataset', 'score_matrix']
MODULES = {
    'MoEAGIQAScore': 'metrics.torchmetrics',  # not in __all__: "import *" does without torchmetrics
    'Reward': 'metrics.reward',
    'rank': 'scoring.api',
    'score': 'scoring.api',
    'score_dataset': 'scoring.dataset_columns',
    'score_matrix': 'scoring.api',
}

plugin.install()


def __getattr__(name: str) -> object:
    if name not in MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module

    return getattr(import_module(f'.{MODULES[name]}', __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
