"""What a network and its data sets share, such as the size of crops: the data sets take it from the network."""

from collections.abc import Mapping
from typing import Any

from ..archs.prior_arch import PriorOptions
from ..checkpoints.start import network_config
from ..options import OptionError, shown

SHARED = ('targets', 'crop_size', 'crop_scales', 'crops', 'view_size', 'whole_view', 'prompt_tokens')


def with_looks(opt: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's options with the network's values in every data set that leaves them out.

    Training has its own number of crops, so ``crops`` is not given to ``datasets.train``.

    Raises:
        OptionError: for a data set whose own value is not the network's, and for a network that cannot be built.
        CheckpointError: for a checkpoint that cannot be read.
    """
    looks = _looks_of(opt)
    for_training = {name: value for name, value in looks.items() if name != 'crops'}
    for name, data in opt.get('test', {}).items():
        _require_same(f'test.{name}', data, looks)
    datasets = {}
    for phase, data in opt['datasets'].items():
        given = for_training if phase == 'train' else looks
        _require_same(f'datasets.{phase}', data, given)
        datasets[phase] = {**given, **data}
    return {**opt, 'datasets': datasets}


def _looks_of(opt: Mapping[str, Any]) -> dict[str, Any]:
    if opt['model_type'] == 'MoEAGIQAPriorModel':
        options = {name: value for name, value in opt['network'].items() if name != 'type'}
        return {'crop_size': PriorOptions.check(options, 'network').crop_size}
    config = network_config(opt['network'])
    values = {name: getattr(config, name) for name in SHARED}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _require_same(where: str, data: Mapping[str, Any], looks: Mapping[str, Any]) -> None:
    for name, value in looks.items():
        if data.get(name, value) != value:
            raise OptionError(
                f'{where} option {name} is {shown(data[name])}, but the network has {value!r}: leave it out, then the data '
                'set takes it from the network.'
            )
