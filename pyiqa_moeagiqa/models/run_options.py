"""Every section of an option file, checked before hours are spent on a run."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from pyiqa.losses import LOSS_REGISTRY

from ..archs.config import MoEAGIQAConfig
from ..data.options import check_dataset_options
from ..options import (
    ANYTHING,
    FLAG,
    MAPPING,
    TEXT,
    OptionError,
    Rule,
    check,
    check_keys,
    either,
    number,
    one_of,
    quoted,
    shown,
    whole,
)
from ..tree import check_tree
from .schedule import build_schedule

FOLDER = Rule(
    lambda value: TEXT.met(value) and value == os.path.basename(value) and value not in ('.', '..'),
    "text without slashes, as the run's folder is named after it",
)
NOTHING = Rule(lambda value: value is None, 'left empty')
SECTIONS = {
    'name': FOLDER,
    'model_type': one_of('MoEAGIQAModel', 'MoEAGIQAPriorModel'),
    'num_gpu': either(one_of('auto'), whole(0)),
    'manual_seed': whole(0, 2**32 - 1),  # as numpy takes them
    'datasets': MAPPING,
    'test': MAPPING,
    'network': MAPPING,
    'path': MAPPING,
    'train': MAPPING,
    'val': MAPPING,
    'logger': MAPPING,
    'dist_params': MAPPING,
    'published': MAPPING,
}
# What pyiqa's parser adds.
ADDED = ('dist', 'rank', 'world_size', 'auto_resume', 'is_train', 'root_path')
TRAIN = {
    'optim': MAPPING,
    'scheduler': MAPPING,
    'warmup': whole(0),
    'schedule_per': one_of('iteration', 'epoch'),
    'total_epoch': whole(1),
    'total_iter': whole(1),
    'accumulate': whole(1),
    'amp': one_of(True, False, 'bfloat16', 'float16'),
    'ema_decay': number(0, 1),
    'clip_grad_norm': number(0),
    'mos_loss_opt': MAPPING,
    'metric_loss_opt': MAPPING,
    'ranking_weight': number(0),
    'matching_weight': number(0),
    'frozen_dropout': FLAG,
    'inject_from_zero': FLAG,
    'cache_frozen': FLAG,
    'cache_folder': TEXT,
    'save_whole': FLAG,
}
LOSS = {'type': one_of('L1Loss', 'MSELoss'), 'loss_weight': number(0), 'reduction': one_of('mean')}
VAL = {
    'val_freq': whole(1),
    'save_img': FLAG,
    'pbar': FLAG,
    'key_metric': either(TEXT, NOTHING),
    'metrics': MAPPING,
}
METRIC = {
    'type': one_of('calculate_srcc', 'calculate_plcc', 'calculate_krcc', 'calculate_rmse'),
    'better': one_of('higher', 'lower'),
}
LOGGER = {
    'print_freq': whole(1),
    'save_latest_freq': whole(1),
    'save_checkpoint_freq': whole(1),
    'use_tb_logger': FLAG,
    'log_imgs_freq': whole(1),
    'wandb': ANYTHING,
}
PATH = {
    'resume_state': either(TEXT, NOTHING),
    **dict.fromkeys(('experiments_root', 'models', 'training_states', 'log', 'visualization'), TEXT),
}
DIST = {'backend': one_of('nccl', 'gloo'), 'port': whole(1)}


def check_run(options: Mapping[str, Any]) -> None:
    """Raise an OptionError for an unknown or impossible option anywhere in an option file.

    Network and data-set options are looked at again, with what they refer to, when these are built.
    """
    given = {name: value for name, value in options.items() if name not in ADDED}
    check_tree(given)
    check(given, SECTIONS, 'top-level', required=('name', 'model_type', 'datasets', 'network', 'train', 'val'))
    _check_processes(options)
    _check_datasets(options)
    _check_train(options['train'])
    _check_val(options['val'])
    for section, rules in (('logger', LOGGER), ('dist_params', DIST), ('path', PATH)):
        check(options.get(section) or {}, rules, section)


def _check_processes(options: Mapping[str, Any]) -> None:
    count = options.get('num_gpu', 0)
    launched = options.get('dist') or 'WORLD_SIZE' in os.environ
    if count != 'auto' and count > 1 and not launched:
        raise OptionError(
            f'num_gpu is {count} without a launcher: start one process per GPU, with "torchrun --nproc-per-node {count} '
            '--no-python moeagiqa train ..." (pyiqa\'s own trainer takes --launcher pytorch, too); DataParallel is not '
            'supported.'
        )


def _check_datasets(options: Mapping[str, Any]) -> None:
    datasets = options['datasets']
    for name in ('train', 'val'):
        if not isinstance(datasets.get(name), Mapping):
            raise OptionError(f'datasets option {name} is {shown(datasets.get(name))}: it must be {MAPPING.allowed}.')
    for phase in datasets:
        if str(phase).split('_')[0] not in ('train', 'val'):
            raise OptionError(f'Unknown datasets option {phase!r}: known are train, val and val_ANYTHING.')
    for name, data in options.get('test', {}).items():
        if not isinstance(data, Mapping):
            raise OptionError(f'test option {name} is {shown(data)}: it must be {MAPPING.allowed}.')
    sections = {f'datasets.{phase}': data for phase, data in datasets.items()}
    sections |= {f'test.{name}': data for name, data in test_sets(options).items()}
    _check_sections(sections)


def _check_sections(sections: Mapping[str, Mapping[str, Any]]) -> None:
    names: dict[str, str] = {}
    for where, data in sections.items():
        check_dataset_options(data, where)
        for key in ('name', 'type'):
            if key not in data:
                raise OptionError(f'{where} option {key} is missing.')
        if data['type'] != 'PromptNRDataset':
            raise OptionError(f"{where} option type is {data['type']!r}: it must be 'PromptNRDataset'.")
        if data['name'] in names:
            raise OptionError(f'{where} option name is {data["name"]!r}, as in {names[data["name"]]}: give it another.')
        names[data['name']] = where


def test_sets(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The data sets under ``test``, each with validation's options but for what is given, and split 'test' by default."""
    given = options.get('test', {}).items()
    return {name: {**options['datasets']['val'], 'split': 'test', **data, 'name': name} for name, data in given}


def _check_train(train: Mapping[str, Any]) -> None:
    check(train, TRAIN, 'train', required=('optim', 'scheduler', 'mos_loss_opt'))
    if ('total_epoch' in train) + ('total_iter' in train) == 0:
        raise OptionError('train option total_epoch is missing: it must be a whole number of at least 1.')
    for section, module in (('optim', torch.optim), ('scheduler', torch.optim.lr_scheduler)):
        kind = train[section].get('type')
        if not isinstance(getattr(module, str(kind), None), type):
            raise OptionError(f'train.{section} option type is {shown(kind)}: {module.__name__} has no such class.')
    for name, value in train['optim'].items():
        if name.startswith(('lr', 'weight_decay')):
            check({name: value}, {name: number(0)}, 'train.optim')
    for name, value in train['scheduler'].items():
        if name.startswith(('T_', 'step', 'eta_', 'gamma')):
            check({name: value}, {name: number(0)}, 'train.scheduler')
    _try_optimizer(train)
    if train.get('cache_frozen') and train.get('frozen_dropout'):
        raise OptionError('train option frozen_dropout is true: with cache_frozen it must be false.')
    check(train['mos_loss_opt'], LOSS, 'train.mos_loss_opt', required=('type',))
    if 'metric_loss_opt' in train:
        _check_metric_loss(train['metric_loss_opt'])


def _try_optimizer(train: Mapping[str, Any]) -> None:
    """Build optimizer and schedule for one number, so that torch's own objections come before the data is read."""
    optim = dict(train['optim'])
    kind = optim.pop('type')
    try:
        optimizer = getattr(torch.optim, kind)([torch.nn.Parameter(torch.zeros(1))], **optim)
    except Exception as error:  # torch raises whatever its arithmetic does
        raise OptionError(
            f'train.optim is {shown(train["optim"])}: torch.optim.{kind} does not take it ({quoted(error)}).'
        ) from None
    try:
        build_schedule(optimizer, train, steps=2)
    except Exception as error:
        kind = train['scheduler']['type']
        raise OptionError(
            f'train.scheduler is {shown(train["scheduler"])}: {kind} does not take it ({quoted(error)}).'
        ) from None


def _check_metric_loss(options: Mapping[str, Any]) -> None:
    check_keys(options, ('type', 'loss_weight', 'detach'), 'train.metric_loss_opt')
    kind = options.get('type')
    if not isinstance(kind, str) or kind not in LOSS_REGISTRY:
        raise OptionError(
            f"train.metric_loss_opt option type is {shown(kind)}: pyiqa has no such loss; try 'PLCCLoss'."
        )


def _check_val(val: Mapping[str, Any]) -> None:
    check(val, VAL, 'val', required=('val_freq', 'metrics'))
    if not val['metrics']:
        raise OptionError('val option metrics is empty: name at least one, as in srcc: {type: calculate_srcc}.')
    for name, metric in val['metrics'].items():
        check(metric, METRIC, f'val.metrics.{name}', required=('type',))
        if metric['type'] == 'calculate_rmse' and metric.get('better') != 'lower':
            raise OptionError(f"val.metrics.{name} option better must be 'lower': the smaller the error the better.")
    if val.get('key_metric') and val['key_metric'] not in val['metrics']:
        known = ', '.join(val['metrics'])
        raise OptionError(f'val option key_metric is {val["key_metric"]!r}: val.metrics has {known}.')


def check_datasets_fit(datasets: Mapping[str, Mapping[str, Any]], config: MoEAGIQAConfig, view_size: int) -> None:
    """Raise an OptionError where a data set prepares other inputs than the network takes."""
    wanted = {
        'crop_size': config.crop_size,
        'view_size': view_size,
        'crop_scales': list(config.crop_scales),
        'whole_view': config.whole_view,
        'prompt_tokens': config.prompt_tokens,
        'targets': list(config.targets),
    }
    defaults = {'crop_size': 224, 'view_size': 224, 'prompt_tokens': 35, 'targets': ['quality']}
    defaults |= {'crop_scales': [], 'whole_view': False}
    for phase, options in datasets.items():
        expected = wanted | ({'crops': config.crops} if phase != 'train' else {})
        for name, value in expected.items():
            given = options.get(name, defaults.get(name, 15))
            if given != value:
                where = phase if phase.startswith('test.') else f'datasets.{phase}'
                raise OptionError(
                    f'{where} option {name} is {given!r}, but the network has {value!r}: make them the same.'
                )
