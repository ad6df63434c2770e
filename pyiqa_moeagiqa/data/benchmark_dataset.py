"""Prompt-aware data sets for pyiqa's own ``benchmark_results.py``, which passes only ``data['img']`` to a metric."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import to_dtype

from ..images.read import read_image
from ..options import OptionError
from .options import BenchmarkOptions
from .pictures import Picture, for_each, look_at
from .prompted_image import prompted
from .table import Check, TableError, no_such_rows, read_with_range, require

if TYPE_CHECKING:
    import pandas as pd


class PromptBenchmarkDataset(Dataset):
    """Images that carry their prompts; ``type: PromptBenchmarkDataset`` in a file for ``--data_opt``.

    All images are decoded once at load: pyiqa's prefetching loader would wait for ever at one that cannot be decoded.

    See ``BenchmarkOptions`` for its options.

    An item has ``img``, a float ``PromptedImage`` (3, H, W) in [0, 1], ``mos_label``, the MOS as in the table, and
    ``img_path``.

    Raises:
        ValueError, TableError: at load, for an unknown option, for wrong rows or images (listed in the message), or for
            images of different sizes in batches.
    """

    def __init__(self, opt: dict[str, Any]):
        options = BenchmarkOptions.check(opt, 'PromptBenchmarkDataset')
        self.file, self.target = options.meta_info_file, options.target
        table = read_with_range(self.file, options.dataroot_target, [self.target], options.mos_range)[0]
        looks = for_each(table['path'].tolist(), look_at)
        require(
            self.file,
            table,
            Check([isinstance(look, Picture) for look in looks], 'the image cannot be decoded', 'path'),
        )
        self._check_sizes([look for look in looks if isinstance(look, Picture)], options.batch_size_per_gpu)
        self.table = self._select(table, options.split_column, options.split)

    def _check_sizes(self, looks: list[Picture], batch: int) -> None:
        sizes = {(look.width, look.height) for look in looks}
        if batch > 1 and len(sizes) > 1:
            raise OptionError(
                f'{Path(self.file)}: batch_size_per_gpu is {batch}, but its images have {len(sizes)} different sizes; '
                'make it 1.'
            )

    def _select(self, table: 'pd.DataFrame', column: str | None, split: str) -> 'pd.DataFrame':
        if column is None:
            return table
        if column not in table.columns:
            raise TableError(f'{self.file}: split column {column!r} is missing.')
        chosen = table[table[column] == split].reset_index(drop=True)
        if chosen.empty:
            raise no_such_rows(self.file, column, split, table[column])
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
