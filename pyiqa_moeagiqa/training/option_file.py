"""An option file as ``moeagiqa train`` takes it: read, changed by ``key=value``, checked."""

import copy
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from ..models.run_options import check_run
from ..options import OptionError


def read_options(path: Path | str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The options of a file with changes such as ``train.optim.lr=1.0e-4`` or ``datasets.val.crops=3``.

    Raises:
        OptionError: naming the file and what is wrong in it or in a change.
    """
    path = Path(path)
    try:
        options = yaml.safe_load(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise OptionError(
            f'{path}: there is no such file; "moeagiqa options write ." puts the option files into this folder.'
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OptionError(f'{path}: it cannot be read as YAML ({_in_one_line(error)}).') from None
    if not isinstance(options, Mapping):
        raise OptionError(f'{path}: it holds no options; they are "key: value" lines.')
    for change in changes:
        _apply(options, change)
    try:
        if {'total_epoch', 'total_iter'} <= set(options.get('train', {})):
            raise OptionError('train has total_epoch and total_iter: remove one, as in train.total_epoch=null.')
        check_run(options)
        _require_ours(options)
    except OptionError as error:
        raise OptionError(f'{path}: {error}') from None
    return options


def _require_ours(options: Mapping[str, Any]) -> None:
    """Raise an OptionError for what only pyiqa's own trainer does."""
    if (options.get('path') or {}).get('resume_state'):
        raise OptionError(
            f'path option resume_state is {options["path"]["resume_state"]!r}: leave it empty, "moeagiqa train" goes on by '
            'itself from what is in --output.'
        )
    for phase, data in options['datasets'].items():
        if data.get('dataset_enlarge_ratio', 1) != 1:
            raise OptionError(
                f'datasets.{phase} option dataset_enlarge_ratio is {data["dataset_enlarge_ratio"]}: "moeagiqa train" reads every '
                'image once per epoch; raise total_epoch instead.'
            )


def _in_one_line(error: Exception) -> str:
    return ' '.join(str(error).split())


def _apply(options: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition('=')
    if not equals or not key:
        raise OptionError(f'{change!r} is no change of an option: write key=value, as in train.optim.lr=1.0e-4.')
    try:
        value = _value(text)
    except yaml.YAMLError as error:
        raise OptionError(f'{change!r}: its value is no YAML ({_in_one_line(error)}).') from None
    *sections, name = key.split('.')
    for section in sections:
        options = options.setdefault(section, {})
        if not isinstance(options, dict):
            raise OptionError(f'{change!r}: {section} is {options!r} and has no options within.')
    if value is None:
        if name not in options:
            known = ', '.join(options) or 'none'
            raise OptionError(f'{change!r}: there is no such option to remove; there are {known}.')
        del options[name]
    else:
        options[name] = value


def _value(text: str) -> Any:
    """A value as YAML reads it, and 1e-5, which YAML takes for text, as the number that it is."""
    value = yaml.safe_load(text)
    is_number = isinstance(value, str) and value == text and re.fullmatch(r'[-+]?\d+(\.\d*)?[eE][-+]?\d+', value)
    return float(value) if is_number else value


def as_the_trainer_parses(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The options with what pyiqa's parser adds, and the run's own folder for all that it writes."""
    opt = copy.deepcopy(dict(options))
    launched = 'RANK' in os.environ and 'WORLD_SIZE' in os.environ
    opt['dist'] = launched
    opt['rank'] = int(os.environ['RANK']) if launched else 0
    opt['world_size'] = int(os.environ['WORLD_SIZE']) if launched else 1
    opt['num_gpu'] = torch.cuda.device_count() if opt.get('num_gpu', 'auto') == 'auto' else opt['num_gpu']
    if not launched:
        opt['num_gpu'] = min(opt['num_gpu'], 1)
    opt |= {'is_train': True, 'auto_resume': False}
    opt.setdefault('manual_seed', 123)
    opt.setdefault('logger', {})
    for phase, data in opt['datasets'].items():
        data['phase'] = phase.split('_')[0]
    opt['path'] = {
        'experiments_root': str(folder),
        'models': str(folder / 'models'),
        'training_states': str(folder / 'training_states'),
        'log': str(folder),
        'resume_state': None,
    }
    return opt
