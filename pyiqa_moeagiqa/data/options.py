"""The options of a prompt-aware data set, checked before anything is read."""

from collections.abc import Mapping
from typing import Any

from ..options import OptionError, check_keys

OURS = (
    'meta_info_file',
    'dataroot_target',
    'split_column',
    'split',
    'targets',
    'mos_range',
    'crop_size',
    'crops',
    'view_size',
    'prompt_tokens',
    'random_crops',
    'hflip',
)
# What pyiqa's loader reads of the same section.
PYIQA = (
    'name',
    'type',
    'phase',
    'use_shuffle',
    'num_worker_per_gpu',
    'batch_size_per_gpu',
    'dataset_enlarge_ratio',
    'prefetch_mode',
    'num_prefetch_queue',
    'pin_memory',
    'persistent_workers',
)
WHERE = 'PromptNRDataset'


def check_dataset_options(options: Mapping[str, Any]) -> None:
    """Raise an OptionError for an unknown, missing or impossible option of ``PromptNRDataset``."""
    check_keys(options, (*OURS, *PYIQA), WHERE)
    if not options.get('meta_info_file'):
        raise OptionError(f'{WHERE} option meta_info_file is missing: name the table of images, prompts and MOS.')
    mos_range = options.get('mos_range')
    numbers = isinstance(mos_range, list | tuple) and all(isinstance(value, int | float) for value in mos_range)
    if not numbers or len(mos_range) != 2 or mos_range[0] >= mos_range[1]:
        raise OptionError(f'{WHERE} option mos_range is {mos_range!r}: give the lowest and highest MOS, as in [0, 5].')
    for name in ('crop_size', 'crops', 'view_size', 'prompt_tokens', 'batch_size_per_gpu'):
        value = options.get(name, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise OptionError(f'{WHERE} option {name} is {value!r}: it must be a whole number of at least 1.')
    targets = options.get('targets', ['quality'])
    if not isinstance(targets, list | tuple) or not targets or not all(isinstance(name, str) for name in targets):
        raise OptionError(f'{WHERE} option targets is {targets!r}: list the MOS columns, as in [quality].')
    for name in ('random_crops', 'hflip'):
        if not isinstance(options.get(name, False), bool):
            raise OptionError(f'{WHERE} option {name} is {options[name]!r}: it must be true or false.')
    if options.get('prefetch_mode') == 'cpu':
        # pyiqa's prefetching thread dies at the first bad image, and its reader then waits for ever.
        raise OptionError(f"{WHERE} option prefetch_mode is 'cpu': leave it out, an unreadable image would hang it.")
