"""Makes a metric of pyiqa by its name, or raises an error of one sentence that says why it cannot."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..console import say
from ..options import quoted
from ..plugin import IMAGE_REWARD, METRICS, OURS
from .protocol import Metric
from .scale import targets_of
from .sources import SourceError

# The command's names for options of create_metric, where they differ.
OPTION_NAMES = {'pretrained_model_path': 'weights', 'long_prompts': 'long-prompts'}


def made_by(metric_name: str, metric: Metric) -> dict[str, Any]:
    """What a metric's scores depend on besides image and prompt."""
    import pyiqa

    targets = targets_of(metric)
    facts = {'metric': metric_name} | getattr(metric.net, 'made_by', {'pyiqa': pyiqa.__version__})
    return facts | ({'targets': targets} if targets else {})


def make_metric(name: str, options: Mapping[str, Any]) -> Metric:
    """Call ``pyiqa.create_metric``; pyiqa's errors become one sentence each.

    Args:
        name: the metric's name.
        options: of ``create_metric``, by name, including ``device``; those that are None are left out.

    Raises:
        SourceError: for a device that does not exist, a name that pyiqa does not know, a metric that needs reference
            images, options that the metric does not take, or a metric that pyiqa cannot make.
        ValueError: for an option or checkpoint that this package's own metrics refuse.
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
    if sys.stderr.isatty():
        say(f'loading {name}')
    logging.getLogger('pyiqa').setLevel(logging.WARNING)
    try:
        return pyiqa.create_metric(name, device=device, **options)
    except Exception as error:  # pyiqa raises all kinds of exceptions for failed downloads and missing packages
        if name in OURS:
            raise
        raise SourceError(f'--metric {name}: pyiqa cannot make it ({quoted(error)}).') from None


def _device(name: Any) -> Any:
    """The device of that name; None if none is named, and pyiqa then chooses one."""
    import torch

    if name is None:
        return None
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except Exception as error:  # torch raises many kinds, also for a missing accelerator
        raise SourceError(f'--device {name}: it cannot be used ({quoted(error)}); name cpu, or leave it out.') from None
    return device


def _require_data(file: str) -> None:
    """Raise a SourceError for a file that torch cannot read as pure data: pyiqa would run code pickled in it."""
    import torch

    if not Path(file).is_file():
        raise SourceError(f'{file}: there is no such file; give weights that pyiqa can load, as in net_best.pth.')
    try:
        torch.load(file, map_location='meta', weights_only=True)
    except Exception as error:  # torch raises many kinds
        raise SourceError(f'{file}: not loaded, as it is not weights and nothing else ({quoted(error)}).') from None
