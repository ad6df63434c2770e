"""Read an option file for ``moeagiqa train``, apply ``key=value`` changes and check the result."""

import copy
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from ..distributed import launched
from ..models.run_options import check_run
from ..options import OptionError, quoted, shown
from ..tree import check_tree

LONGEST = 1_000_000  # bytes
MOST_BRACKETS = 100


def read_options(path: Path | str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Read a file's options and apply changes such as ``train.optim.lr=1.0e-4`` or ``datasets.val.crops=3``.

    Raises:
        OptionError: naming the file and what is wrong in it, or the change that is wrong.
    """
    path = Path(path)
    content = _content(path)
    try:
        options = read_yaml(content.decode('utf-8-sig'))
    except ValueError as error:
        raise OptionError(f'{path}: it cannot be read as YAML ({quoted(error)}).') from None
    if not isinstance(options, dict):
        raise OptionError(f'{path}: there are no options in it; write lines such as "name: my_run".')
    for change in changes:
        _apply(options, change)
    try:
        if isinstance(options.get('train'), dict) and {'total_epoch', 'total_iter'} <= options['train'].keys():
            raise OptionError('train has total_epoch and total_iter: remove one, as in train.total_epoch=null.')
        check_run(options)
        _require_ours(options)
    except OptionError as error:
        raise OptionError(f'{path}: {error}') from None
    return options


def _content(path: Path) -> bytes:
    if not path.exists():
        raise OptionError(
            f'{path}: there is no such file; "moeagiqa options write ." puts the option files into this folder.'
        )
    if not path.is_file():
        raise OptionError(f'{path}: a folder, a pipe or a device, not an option file; give a file.')
    try:
        with path.open('rb') as file:
            content = file.read(LONGEST + 1)
    except OSError as error:
        raise OptionError(f'{path}: it cannot be read ({error.strerror}); give a file.') from None
    if len(content) > LONGEST:
        raise OptionError(f'{path}: it has more than {LONGEST // 1000} KB, which no option file needs; give another.')
    return content


class _Loader(yaml.SafeLoader):
    """Loads plain YAML values only; refuses a name that a section has twice: YAML would silently keep the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        if isinstance(node, yaml.MappingNode):
            names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None and twice != '<<':
                raise OptionError(f'{shown(twice)} appears twice in one section: remove one')
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """Parse YAML text that holds only plain values and is no larger or deeper than options are (see ``check_tree``).

    Raises:
        ValueError: for text that is not such YAML.
    """
    if _brackets_within(text) > MOST_BRACKETS:  # PyYAML takes quadratic time for deep nesting before it gives up
        raise OptionError('it is nested too deeply')
    try:
        tree = yaml.load(text, _Loader)  # a SafeLoader: tags run no code
    except RecursionError:
        raise OptionError('it is nested too deeply') from None
    except OptionError:
        raise
    except Exception as error:  # PyYAML lets Python's own errors through, such as for a date in month 99
        raise OptionError(' '.join(str(error).split())) from None
    check_tree(tree)
    return tree


def _brackets_within(text: str) -> int:
    """Return the largest number of brackets that are open at once."""
    steps = ((letter in '[{') - (letter in ']}') for letter in text if letter in '[{]}')
    return max(itertools.accumulate(steps), default=0)


def _require_ours(options: Mapping[str, Any]) -> None:
    """Raise an OptionError for options that only pyiqa's own trainer supports."""
    if (options.get('path') or {}).get('resume_state'):
        raise OptionError(
            f'path option resume_state is {options["path"]["resume_state"]!r}: leave it empty, "moeagiqa train" goes on by '
            'itself from what is in --output.'
        )
    for phase, data in options['datasets'].items():
        if data.get('prefetch_mode'):
            raise OptionError(
                f"datasets.{phase} option prefetch_mode is {data['prefetch_mode']!r}: it is for pyiqa's own trainer; "
                '"moeagiqa train" reads ahead with num_worker_per_gpu and pin_memory.'
            )
        if data.get('dataset_enlarge_ratio', 1) != 1:
            raise OptionError(
                f'datasets.{phase} option dataset_enlarge_ratio is {data["dataset_enlarge_ratio"]}: "moeagiqa train" reads every '
                'image once per epoch; raise total_epoch instead.'
            )


def _apply(options: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition('=')
    if not equals or not key:
        raise OptionError(
            f'{shown(change)} is not a change of an option: write key=value, as in train.optim.lr=1.0e-4.'
        )
    try:
        value = _value(text)
    except ValueError as error:
        raise OptionError(f'{shown(change)}: its value is not YAML ({quoted(error)}).') from None
    *sections, name = key.split('.')
    for section in sections:
        options = options.setdefault(section, {})
        if not isinstance(options, dict):
            raise OptionError(f'{shown(change)}: {section} is {shown(options)} and has no options of its own.')
    if value is None:
        if name not in options:
            known = ', '.join(map(str, options)) or 'none'
            raise OptionError(f'{shown(change)}: there is no such option to remove; there are {known}.')
        del options[name]
    else:
        options[name] = value


def _value(text: str) -> Any:
    """Parse a value as YAML, but read 1e-5 and the like, which YAML takes for text, as numbers."""
    value = read_yaml(text)
    is_number = isinstance(value, str) and value == text and re.fullmatch(r'[-+]?\d+(\.\d*)?[eE][-+]?\d+', value)
    return float(value) if is_number else value


def as_the_trainer_parses(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the options with the entries that pyiqa's parser adds, and with all output paths inside the run's folder."""
    opt = copy.deepcopy(dict(options))
    opt['dist'] = launched()
    opt['rank'] = int(os.environ['RANK']) if launched() else 0
    opt['world_size'] = int(os.environ['WORLD_SIZE']) if launched() else 1
    opt['num_gpu'] = torch.cuda.device_count() if opt.get('num_gpu', 'auto') == 'auto' else opt['num_gpu']
    if not launched():
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
