"""The ``train``, ``val`` and data-set options of a run, checked before hours are spent on it."""

from collections.abc import Mapping
from typing import Any

import torch

from ..archs.config import MoEAGIQAConfig
from ..options import OptionError, check_keys, number

TRAIN = (
    'optim',
    'scheduler',
    'total_epoch',
    'total_iter',
    'mos_loss_opt',
    'metric_loss_opt',
    'matching_weight',
    'clip_grad_norm',
    'cache_frozen',
)


def check_training_options(options: Mapping[str, Any]) -> None:
    """Raise an OptionError for an unknown or impossible option of ``train:``, or a way to run that is not supported."""
    if options['num_gpu'] > 1 and not options['dist']:
        raise OptionError(
            f'num_gpu is {options["num_gpu"]} without a launcher: start one process per GPU with torchrun and '
            '--launcher pytorch, DataParallel is not supported.'
        )
    train = options['train']
    check_keys(train, TRAIN, 'train')
    if 'mos_loss_opt' not in train:
        raise OptionError('train option mos_loss_opt is missing: the paper has {type: L1Loss}.')
    for section in ('optim', 'scheduler'):
        if not isinstance(train.get(section), Mapping) or 'type' not in train[section]:
            raise OptionError(f'train option {section} is missing or has no type.')
    _check_type('optim', train['optim']['type'], torch.optim)
    _check_type('scheduler', train['scheduler']['type'], torch.optim.lr_scheduler)
    for name, value in train['optim'].items():
        if name.startswith(('lr', 'weight_decay')) and number(train['optim'], name, 'train.optim') < 0:
            raise OptionError(f'train.optim option {name} is {value!r}: it must not be negative.')
    for name in ('matching_weight', 'clip_grad_norm'):
        if name in train and number(train, name, 'train') < 0:
            raise OptionError(f'train option {name} is {train[name]!r}: it must not be negative.')


def _check_type(section: str, name: str, module: Any) -> None:
    if not isinstance(getattr(module, str(name), None), type):
        raise OptionError(f'train.{section} option type is {name!r}: {module.__name__} has no such class.')


def check_datasets_fit(datasets: Mapping[str, Mapping[str, Any]], config: MoEAGIQAConfig, view_size: int) -> None:
    """Raise an OptionError where a data set prepares other inputs than the network takes."""
    wanted = {
        'crop_size': config.crop_size,
        'view_size': view_size,
        'prompt_tokens': config.prompt_tokens,
        'targets': list(config.targets),
    }
    defaults = {'crop_size': 224, 'view_size': 224, 'prompt_tokens': 35, 'targets': ['quality']}
    for phase, options in datasets.items():
        expected = wanted | ({'crops': config.crops} if phase != 'train' else {})
        for name, value in expected.items():
            given = options.get(name, defaults.get(name, 15))
            if given != value:
                raise OptionError(
                    f'datasets.{phase} option {name} is {given!r}, but the network has {value!r}: make them the same.'
                )
