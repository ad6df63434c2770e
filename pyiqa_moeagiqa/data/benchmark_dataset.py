"""Prompt-aware data sets for pyiqa's own ``benchmark_results.py``, which passes ``data['img']`` to a metric and no more."""

from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import to_dtype

from ..archs.images import read_image
from ..options import ANYTHING, FLAG, RANGE, TEXT, OptionError, check, whole
from .pictures import Picture, for_each, look_at
from .prompted_image import prompted
from .table import Check, TableError, read_mos_table, require

RULES = {
    'meta_info_file': TEXT,
    'dataroot_target': TEXT,
    'target': TEXT,
    'mos_range': RANGE,
    'split_column': TEXT,
    'split': TEXT,
    # what pyiqa's benchmark and loader read of the same section
    'name': TEXT,
    'type': TEXT,
    'phase': TEXT,
    'num_worker_per_gpu': whole(0),
    'batch_size_per_gpu': whole(1),
    'prefetch_mode': ANYTHING,
    'num_prefetch_queue': whole(1),
    'pin_memory': FLAG,
    'persistent_workers': FLAG,
}


class PromptBenchmarkDataset(Dataset):
    """Images whose prompts travel with them; ``type: PromptBenchmarkDataset`` in a file for ``--data_opt``.

    All images are decoded when the data set is made: pyiqa's prefetching loader waits for ever at one that cannot be.

    Options:
        meta_info_file: CSV, JSON lines or Parquet with columns path, prompt and the target.
        dataroot_target: folder that the paths are relative to; default: the table's.
        target: the MOS column; default quality.
        mos_range: lowest and highest possible MOS.
        split_column, split: which rows, as in prompt_0 and test; default: all.

    An item is ``img``, a float ``PromptedImage`` (3, H, W) in [0, 1], ``mos_label``, the MOS as it is, and ``img_path``.

    Raises:
        ValueError, TableError: at load, for an unknown option, rows or images that are wrong, all named, or images of different
            sizes in batches.
    """

    def __init__(self, opt: dict[str, Any]):
        check(opt, RULES, 'PromptBenchmarkDataset', required=('meta_info_file', 'mos_range'))
        self.file, self.target = opt['meta_info_file'], opt.get('target', 'quality')
        table = read_mos_table(self.file, opt.get('dataroot_target'), [self.target], opt['mos_range'])
        looks = for_each(table['path'], look_at)
        require(
            self.file,
            table,
            Check([isinstance(look, Picture) for look in looks], 'the image cannot be decoded', 'path'),
        )
        self._check_sizes(looks, opt.get('batch_size_per_gpu', 1))
        self.table = self._select(table, opt.get('split_column'), opt.get('split', 'test'))

    def _check_sizes(self, looks: list[Picture], batch: int) -> None:
        sizes = {(look.width, look.height) for look in looks}
        if batch > 1 and len(sizes) > 1:
            raise OptionError(
                f'{Path(self.file)}: batch_size_per_gpu is {batch}, but its images have {len(sizes)} different sizes; '
                'make it 1.'
            )

    def _select(self, table, column: str | None, split: str):
        if column is None:
            return table
        if column not in table.columns:
            raise TableError(f'{self.file}: split column {column!r} is missing.')
        chosen = table[table[column] == split].reset_index(drop=True)
        if chosen.empty:
            raise TableError(f'{self.file}: no row has {column} {split!r}.')
        return chosen

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.table.iloc[index]
        image = to_dtype(read_image(row['path']), torch.float32, scale=True)
        return {
            'img': prompted(image, [row['prompt']]),
            'mos_label': torch.tensor(row[self.target], dtype=torch.float32),
            'img_path': row['path'],
        }
