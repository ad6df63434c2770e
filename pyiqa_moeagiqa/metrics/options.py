"""Checks the options that ``create_metric`` takes for the metrics; for an unknown one the error gives a hint."""

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from ..archs.encoder_options import SizeOption
from ..options import OptionError, shown, unknown_option
from ..section import LEFT_OUT, Count, Section

OF_PYIQA = ('as_loss', 'loss_weight', 'loss_reduction', 'device', 'seed', 'check_input_range')


class MetricOptions(Section):
    """Options of ``MoEAGIQAMetric`` except the names of model, checkpoint and target."""

    crops: Count = LEFT_OUT
    crop_size: SizeOption = LEFT_OUT
    dtype: Literal['auto', 'float32', 'bfloat16', 'float16'] = LEFT_OUT
    fast: bool = LEFT_OUT
    compile: bool = LEFT_OUT
    long_prompts: Literal['cut', 'window'] = LEFT_OUT


class ImageRewardOptions(Section):
    """Options of ``ImageRewardMetric`` except its file."""

    dtype: Literal['auto', 'float32', 'bfloat16']


def check_values(kind: type[Section], given: Mapping[str, Any]) -> None:
    """Raise an OptionError if ``given`` has a wrong value for an option of ``kind``; None stands for the default."""
    kind.check({name: given[name] for name in kind.model_fields if given[name] is not None}, where=None)


def refuse_others(others: Mapping[str, Any], metric: type) -> None:
    """Raise an OptionError for options that a metric does not take.

    ``pretrained=True`` is allowed, as many of pyiqa's metrics take it; for another value the error says what to use.

    Args:
        others: the given options that are not in the metric's signature.
        metric: its class.
    """
    if others.get('pretrained', True) is not True:
        raise OptionError(
            f'pretrained is {shown(others["pretrained"])}: a metric always has weights; leave it out, or give other weights '
            'with pretrained_model_path=FILE.'
        )
    own = [name for name, kind in inspect.signature(metric).parameters.items() if kind.kind is not kind.VAR_KEYWORD]
    known = [*own, *OF_PYIQA, 'pretrained']
    for name in others:
        if name not in known:
            raise unknown_option(name, known, metric.__name__)
