"""The options of a prompt-aware data set, checked before anything is read."""

from collections.abc import Mapping
from typing import Any

from ..options import ANYTHING, FLAG, RANGE, TEXT, OptionError, check, either, list_of, whole

RULES = {
    'meta_info_file': TEXT,
    'dataroot_target': TEXT,
    'split_column': TEXT,
    'split': either(TEXT, list_of(TEXT)),
    'targets': list_of(TEXT),
    'mos_range': RANGE,
    'crop_size': whole(1),
    'crops': whole(1),
    'view_size': whole(1),
    'crop_scales': list_of(whole(0), least=0),
    'whole_view': FLAG,
    'prompt_tokens': whole(1),
    'random_crops': FLAG,
    'hflip': FLAG,
    'weight_by_std': FLAG,
    'degrade': FLAG,
    # what pyiqa's loader reads of the same section
    'name': TEXT,
    'type': TEXT,
    'phase': TEXT,
    'use_shuffle': FLAG,
    'num_worker_per_gpu': whole(0),
    'batch_size_per_gpu': whole(1),
    'dataset_enlarge_ratio': whole(1),
    'prefetch_mode': ANYTHING,
    'num_prefetch_queue': whole(1),
    'pin_memory': FLAG,
    'persistent_workers': FLAG,
}


def check_dataset_options(options: Mapping[str, Any], where: str = 'PromptNRDataset') -> None:
    """Raise an OptionError for an unknown, missing or impossible option of ``PromptNRDataset``."""
    check(options, RULES, where, required=('meta_info_file', 'mos_range'))
    if options.get('degrade') and len(options.get('targets', ['quality'])) > 1:
        raise OptionError(
            f'{where} option targets is {options["targets"]!r}: with degrade it must be one, the strength.'
        )
    if options.get('prefetch_mode') == 'cpu':
        # pyiqa's prefetching thread dies at the first bad image, and its reader then waits for ever.
        raise OptionError(f"{where} option prefetch_mode is 'cpu': leave it out, an unreadable image would hang it.")
