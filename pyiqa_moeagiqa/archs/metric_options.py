"""Options of the metrics, as ``create_metric`` takes them: each is checked, and an unknown one gets a hint."""

import inspect
from collections.abc import Mapping
from typing import Any

from ..options import FLAG, OptionError, Rule, check_keys, whole

LONG_PROMPTS = ('cut', 'window')
RULES = {
    'crops': whole(1),
    'crop_size': whole(1),
    'fast': FLAG,
    'compile': FLAG,
    'long_prompts': Rule(lambda value: value in LONG_PROMPTS, f'one of {", ".join(LONG_PROMPTS)}'),
}
OF_PYIQA = ('as_loss', 'loss_weight', 'loss_reduction', 'device', 'seed', 'check_input_range')


def check_values(given: Mapping[str, Any]) -> None:
    """Raise an OptionError for a value that is not as its rule in ``RULES`` says; None stands for the default."""
    for name, rule in RULES.items():
        if given.get(name) is not None and not rule.met(given[name]):
            raise OptionError(f'{name} is {given[name]!r}: it must be {rule.allowed}.')


def check_dtype(dtype: Any, known: Mapping[str, Any]) -> None:
    """Raise an OptionError for a dtype that is none of the names ``known``, nor 'auto'."""
    if not isinstance(dtype, str) or dtype not in ('auto', *known):
        raise OptionError(f'dtype is {dtype!r}: it must be one of {", ".join(["auto", *known])}.')


def refuse_others(others: Mapping[str, Any], metric: type) -> None:
    """Raise an OptionError for options that a metric does not take; ``pretrained``, which many of pyiqa's do, is explained.

    Args:
        others: what was given beside what the metric knows.
        metric: its class.
    """
    if others.get('pretrained', True) is not True:
        raise OptionError(
            f'pretrained is {others["pretrained"]!r}: a metric is its weights; leave it out, or name others with '
            'pretrained_model_path=FILE.'
        )
    own = [name for name, kind in inspect.signature(metric).parameters.items() if kind.kind is not kind.VAR_KEYWORD]
    check_keys(others, [*own, *OF_PYIQA, 'pretrained'], metric.__name__)
