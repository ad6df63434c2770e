"""pyiqa's data set for images with prompts: crops, semantic view, prompt and MOS of each row of a table."""

import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..distributed import processes
from ..images.read import read_image
from ..images.views import crop_positions, free_places, take_crops, view_of
from .columns import there_are
from .degradations import degrade
from .feature_cache import FeatureCache, picture_key
from .options import NETWORK, TRAINING_CROPS, PromptNROptions
from .table import Check, TableError, as_numbers, no_such_rows, read_with_range, require


class PromptNRDataset(Dataset):
    """Prompt-aware no-reference data set; ``type: PromptNRDataset`` in an option file.

    See ``PromptNROptions`` for its options.

    An item is a dictionary: ``crops`` (n, 3, S, S) and ``view`` (3, V, V) in [0, 1], ``prompt``,
    ``mos_label`` and ``mos_weight`` (targets,), ``img_path``, ``index`` (the row within the split) and ``key``. ``key``
    names the picture in the feature cache; it is empty for pictures that change from epoch to epoch. Once ``cache`` is
    set, ``features`` from it replace crops, view and key. In training the first rows come again at the end, until the
    length is a multiple of the batch size of all processes together.

    Random numbers in a training item depend only on ``set_epoch``'s numbers and the index, or on torch's random state
    if ``set_epoch`` was not called. A validation item is always the same.

    Raises:
        ValueError, TableError: at load, for an unknown option or for wrong rows, which the message lists.
    """

    cache: FeatureCache | None = None

    def __init__(self, opt: dict[str, Any]):
        self.opt = opt  # pyiqa's data sets have this attribute
        self.options = options = PromptNROptions.check(opt, 'PromptNRDataset')
        training = options.phase == 'train'
        self.phase, self.targets = options.phase, list(options.targets)
        self.crop_size, self.view_size = options.crop_size, options.view_size
        self.crops = options.crops or (TRAINING_CROPS if training else NETWORK.crops)
        self.crop_scales, self.whole_view = options.crop_scales, options.whole_view
        self.random_crops = training if options.random_crops is None else options.random_crops
        self.hflip, self.degrade = options.hflip and training, options.degrade
        table, self.mos_range = read_with_range(
            options.meta_info_file, options.dataroot_target, self.targets, options.mos_range
        )
        self.table = self._select(table)
        low, high = self.mos_range
        self.mos = torch.tensor((self.table[self.targets].to_numpy(dtype=float) - low) / (high - low)).float()
        self.weight = self._weights() if options.weight_by_std else torch.ones_like(self.mos)
        self._keys: dict[int, str] = {}
        self._drawn_from = torch.full((2,), -1).share_memory_()  # processes that stay from epoch to epoch see it, too
        self.batch = options.batch_size_per_gpu * processes()
        if self.phase == 'train' and self.batch > len(self.table):
            raise ValueError(
                f'global_batch_size or batch_size_per_gpu makes batches of {self.batch}, but {options.meta_info_file} has {len(self.table)} '
                'training images: make it smaller.'
            )

    def _select(self, table: pd.DataFrame) -> pd.DataFrame:
        options = self.options
        column, split = self._split_column(), options.split or self.phase
        if split == 'all':
            return table
        if column not in table.columns:
            if options.split_column or options.split:
                known = there_are(list(table.columns), column)
                raise TableError(f'{options.meta_info_file}: split column {column!r} is missing; {known}.')
            return table
        chosen = table[table[column].isin([split] if isinstance(split, str) else split)].reset_index(drop=True)
        if chosen.empty:
            raise no_such_rows(options.meta_info_file, column, split, table[column])
        return chosen

    def _split_column(self) -> str:
        column, number = self.options.split_column or 'split', self.options.split_index
        return column if number is None else f'{column.rstrip("0123456789")}{number - 1}'

    def _weights(self) -> Tensor:
        columns = [f'{target}_std' for target in self.targets]
        missing = [column for column in columns if column not in self.table.columns]
        if missing:
            raise TableError(
                f'{self.options.meta_info_file}: weight_by_std needs column {missing[0]!r}, which is missing.'
            )
        deviations = self.table[columns].apply(as_numbers)
        for column in columns:
            problem = f'column {column!r} holds no deviation above 0'
            require(self.options.meta_info_file, self.table, Check(deviations[column] > 0, problem, column))
        weight = 1 / torch.tensor(deviations.to_numpy()).float()
        return weight / weight.mean(dim=0)

    def set_epoch(self, seed: int, epoch: int) -> None:
        """Make an item's random draws depend only on these numbers and its index, so that a resumed run draws the same."""
        self._drawn_from.copy_(torch.tensor([seed, epoch]))

    def __len__(self) -> int:
        # Pad to whole batches: pyiqa's trainer counts ceil(len / batch) iterations per epoch, but its loader drops the last
        # incomplete batch, so `total_epoch: 3` would run a fourth epoch to make up for the dropped batches.
        if self.phase == 'train':
            return math.ceil(len(self.table) / self.batch) * self.batch
        return len(self.table)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f'Item {index} of {len(self)}.')
        row = index % len(self.table)
        item = {
            'prompt': self.table['prompt'][row],
            'mos_label': self.mos[row],
            'mos_weight': self.weight[row],
            'img_path': self.table['path'][row],
            'index': row,
        }
        if self.cache is not None:
            return item | {'features': self.cache.read(self.key(row))}
        return item | self._picture(index, row)

    def _picture(self, index: int, row: int) -> dict[str, Any]:
        image, draw = read_image(self.table['path'][row]), self._generator(index)
        if self.hflip and torch.rand((), generator=draw) < 0.5:
            image = image.flip(-1)
        crops = take_crops(image, self._positions(image, draw), self.crop_size, self.crop_scales)
        picture = {
            'crops': crops,
            'view': view_of(image, self.view_size, self.whole_view),
            'key': self.key(row) if self.stays_the_same else '',
        }
        if self.degrade:
            crops, kind, level = degrade(crops, draw)
            picture |= {'crops': crops, 'kind': kind, 'mos_label': torch.tensor([1 - level])}
        return picture

    @property
    def stays_the_same(self) -> bool:
        """Whether a row's picture is the same in every epoch."""
        return not self.random_crops and not self.hflip and not self.degrade

    def key(self, row: int) -> str:
        """Return the key that identifies a row's picture and prompt, see ``picture_key``."""
        if row not in self._keys:
            looks = f'{self.crops} crops of {self.crop_size} at {self.crop_scales}'
            sizes = f'{looks}, {"whole" if self.whole_view else "square"} view of {self.view_size}'
            self._keys[row] = picture_key(self.table['path'][row], sizes, self.table['prompt'][row])
        return self._keys[row]

    def _generator(self, index: int) -> torch.Generator | None:
        drawn_from = self._drawn_from.tolist()
        if drawn_from[0] < 0:
            if self.phase == 'train':
                return None
            drawn_from = [0, 0]
        state = np.random.SeedSequence([*drawn_from, index]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state >> 1))

    def _positions(self, image: Tensor, draw: torch.Generator | None = None) -> Tensor:
        height, width = image.shape[-2:]
        if not self.random_crops:
            return crop_positions(height, width, self.crop_size, self.crops, self.crop_scales)
        free = free_places(height, width, self.crop_size, self.crops, self.crop_scales)
        return (torch.rand(self.crops, 2, generator=draw) * (free + 1)).long()
