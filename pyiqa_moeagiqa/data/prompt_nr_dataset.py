"""pyiqa's data set for images with prompts: crops, semantic view, token ids and MOS of each row of a table."""

import math
from typing import Any

import pandas as pd
import torch
import torch.distributed
from torch import Tensor
from torch.utils.data import Dataset

from ..archs.images import read_image
from ..archs.semantic import tokenize
from ..archs.views import crop_positions, semantic_view, take_crops
from .options import check_dataset_options
from .table import TableError, read_mos_table


class PromptNRDataset(Dataset):
    """Prompt-aware no-reference data set; ``type: PromptNRDataset`` in an option file.

    Options:
        meta_info_file: CSV, JSON lines or Parquet with columns path, prompt, one per target, and split.
        dataroot_target: folder that the paths are relative to; default: the table's.
        split_column: column that says 'train', 'val' or 'test'; default 'split'. A table without it is used whole.
        split: which rows; default: the phase that the option file has the data set under.
        targets: MOS columns; default [quality].
        mos_range: lowest and highest possible MOS; the labels are scaled to [0, 1].
        crop_size, crops, view_size, prompt_tokens: as the network has them; default 224, 3 (15 in validation), 224, 35.
        random_crops: whether crops lie anywhere (default in training) or where the metric puts them.
        hflip: whether training images are mirrored half of the time; default false.

    An item is a dictionary: ``crops`` (n, 3, S, S) and ``view`` (3, V, V) in [0, 1], ``ids`` and ``mask`` (L2,),
    ``mos_label`` (targets,), ``img_path``, and ``index``, the row within the split. In training the first rows come
    again at the end, until the length is a multiple of the batch of all processes.

    Raises:
        ValueError, TableError: at load, for an unknown option or for rows that are wrong, all named.
    """

    def __init__(self, opt: dict[str, Any]):
        check_dataset_options(opt)
        self.opt = opt
        self.phase = opt.get('phase', 'train')
        self.targets = list(opt.get('targets', ['quality']))
        self.mos_range = tuple(opt['mos_range'])
        self.crop_size, self.view_size = opt.get('crop_size', 224), opt.get('view_size', 224)
        self.crops = opt.get('crops', 3 if self.phase == 'train' else 15)
        self.random_crops = opt.get('random_crops', self.phase == 'train')
        self.hflip = opt.get('hflip', False) and self.phase == 'train'
        table = read_mos_table(opt['meta_info_file'], opt.get('dataroot_target'), self.targets, self.mos_range)
        self.table = self._select(table)
        low, high = self.mos_range
        self.mos = torch.tensor((self.table[self.targets].to_numpy(dtype=float) - low) / (high - low)).float()
        self.ids, self.mask, _ = tokenize(self.table['prompt'].tolist(), opt.get('prompt_tokens', 35))
        self.batch = opt.get('batch_size_per_gpu', 1) * _processes()
        if self.phase == 'train' and self.batch > len(self.table):
            raise ValueError(
                f'batch_size_per_gpu makes batches of {self.batch}, but {opt["meta_info_file"]} has {len(self.table)} '
                'training images: make it smaller.'
            )

    def _select(self, table: pd.DataFrame) -> pd.DataFrame:
        column, split = self.opt.get('split_column', 'split'), self.opt.get('split', self.phase)
        if column not in table.columns:
            if 'split_column' in self.opt or 'split' in self.opt:
                raise TableError(f'{self.opt["meta_info_file"]}: split column {column!r} is missing.')
            return table
        chosen = table[table[column] == split].reset_index(drop=True)
        if chosen.empty:
            there = ', '.join(sorted(map(repr, table[column].unique())))
            raise TableError(f'{self.opt["meta_info_file"]}: no row has {column} {split!r}; there are {there}.')
        return chosen

    def __len__(self) -> int:
        # pyiqa's trainer counts ceil(len / batch) iterations per epoch, but its loader drops the last incomplete
        # batch: with any other length `total_epoch: 3` would run a fourth epoch to make up for what was dropped.
        if self.phase == 'train':
            return math.ceil(len(self.table) / self.batch) * self.batch
        return len(self.table)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f'Item {index} of {len(self)}.')
        row = index % len(self.table)
        path = self.table['path'][row]
        image = read_image(path)
        if self.hflip and torch.rand(()) < 0.5:
            image = image.flip(-1)
        return {
            'crops': take_crops(image, self._positions(image), self.crop_size),
            'view': semantic_view(image, self.view_size),
            'ids': self.ids[row],
            'mask': self.mask[row],
            'mos_label': self.mos[row],
            'img_path': path,
            'index': row,
        }

    def _positions(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        if not self.random_crops:
            return crop_positions(height, width, self.crop_size, self.crops)
        free = torch.tensor([max(height - self.crop_size, 0), max(width - self.crop_size, 0)])
        return (torch.rand(self.crops, 2) * (free + 1)).long()


def _processes() -> int:
    started = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if started else 1
