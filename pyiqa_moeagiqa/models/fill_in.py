"""Options of a run that follow from others: what data sets share with the network, their names, sizes of batches, lengths."""

from collections.abc import Mapping
from typing import Any

from ..archs.prior_arch import PriorOptions
from ..checkpoints.start import network_config
from ..data.options import table_names
from ..data.prompt_nr_dataset import PromptNRDataset
from ..distributed import processes
from ..options import OptionError, shown
from .run_options import test_sets

SHARED = ('targets', 'crop_size', 'crop_scales', 'crops', 'view_size', 'whole_view')
EPOCH = 'epoch'  # a length in place of a number of batches


def fill_in(opt: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's options with what its data sets need to be built.

    - A data set that leaves out an option of ``SHARED`` gets the network's. Training has its own number of crops.
    - A data set without a name is named after its table.
    - ``global_batch_size`` is divided among the processes.

    Raises:
        OptionError: for a data set whose own value is not the network's, a network that cannot be built, and a batch that
            cannot be divided.
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
        table = '+'.join(table_names(data['meta_info_file']))
        name = table if phase == 'train' else f'{table}_{phase}'
        datasets[phase] = {**given, 'name': name, **_with_batch_size(phase, data)}
    filled = {**opt, 'datasets': datasets}
    _require_different_names(filled)
    return filled


def _looks_of(opt: Mapping[str, Any]) -> dict[str, Any]:
    if opt['model_type'] == 'MoEAGIQAPriorModel':
        options = {name: value for name, value in opt['network'].items() if name != 'type'}
        values = {'crop_size': PriorOptions.check(options, 'network').crop_size}
    else:
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


def _with_batch_size(phase: str, data: Mapping[str, Any]) -> dict[str, Any]:
    options = dict(data)
    whole = options.pop('global_batch_size', None)
    if whole is None:
        return options
    if whole % processes():
        raise OptionError(
            f'datasets.{phase} option global_batch_size is {whole}: it must be a multiple of the {processes()} processes.'
        )
    return options | {'batch_size_per_gpu': whole // processes()}


def _require_different_names(options: Mapping[str, Any]) -> None:
    """Raise an OptionError if two data sets have the same name."""
    sections = {f'datasets.{phase}': data for phase, data in options['datasets'].items()}
    sections |= {f'test.{name}': data for name, data in test_sets(options).items()}
    names: dict[str, str] = {}
    for where, data in sections.items():
        if data['name'] in names:
            raise OptionError(
                f'{where} option name is {data["name"]!r}, the name of {names[data["name"]]}: give it another.'
            )
        names[data['name']] = where


def fill_in_from(training: PromptNRDataset, opt: dict[str, Any]) -> None:
    """Set, in ``opt``, what follows from the training data: the ranges of MOS, and all lengths in batches."""
    steps = len(training) // training.batch
    ranges = [list(one) for one in training.mos_ranges]
    opt['datasets']['train']['mos_range'] = ranges if len(ranges) > 1 else ranges[0]
    if 'total_epoch' in opt['train']:
        opt['train']['total_iter'] = opt['train']['total_epoch'] * steps
    for section, names in (('val', ['val_freq']), ('logger', ['save_latest_freq', 'save_checkpoint_freq'])):
        options = opt[section] = dict(opt[section])
        options |= {name: steps for name in names if options.get(name) == EPOCH}
    opt['logger'].setdefault('save_latest_freq', opt['val']['val_freq'])
