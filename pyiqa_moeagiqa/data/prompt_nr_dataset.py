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
from .degradations import degrade
from .feature_cache import FeatureCache, picture_key
from .options import NETWORK, TRAINING_CROPS, PromptNROptions
from .rows import rows_of


class PromptNRDataset(Dataset):
    """Prompt-aware no-reference data set; ``type: PromptNRDataset`` in an option file.

    See ``PromptNROptions`` for its options.

    An item is a dictionary: ``crops`` (n, 3, S, S) and ``view`` (3, V, V) in [0, 1], ``prompt``, ``mos_label``,
    ``mos_weight`` and ``mos_std`` (targets,) as in ``Rows``, ``set`` (the number of the row's table), ``img_path``, ``index``
    (the row within the split) and ``key``. ``key`` names the picture in the feature cache; it is empty for pictures that
    change from epoch to epoch. Once ``cache`` is set, ``features`` from it replace crops, view and key, or with ``view_only``
    join them. In training the first rows come again at the end, until the length is a multiple of the batch size of all
    processes together.

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
        rows = rows_of(options, self.phase)
        self.table = pd.concat([part.table for part in rows], ignore_index=True)
        self.names, self.mos_ranges = [part.name for part in rows], [part.mos_range for part in rows]
        self.set = torch.tensor([place for place, part in enumerate(rows) for _ in range(len(part.table))])
        self.mos, self.weight, self.deviation = (
            torch.cat([getattr(part, field) for part in rows]) for field in ('mos', 'weight', 'deviation')
        )
        self._keys: dict[tuple[int, bool], str] = {}
        self._drawn_from = torch.full((2,), -1).share_memory_()  # processes that stay from epoch to epoch see it, too
        self.batch = options.batch_size_per_gpu * processes()
        if self.phase == 'train' and self.batch > len(self.table):
            raise ValueError(
                f'global_batch_size or batch_size_per_gpu makes batches of {self.batch}, but {", ".join(options.files())} has {len(self.table)} '
                'training images: make it smaller.'
            )

    def parts(self) -> dict[str, np.ndarray]:
        """The rows of each table, by the name of the table below the data set's; for one table the data set's name alone."""
        if len(self.names) == 1:
            return {self.opt['name']: np.arange(len(self.table))}
        return {
            f'{self.opt["name"]}/{name}': np.flatnonzero(self.set == place) for place, name in enumerate(self.names)
        }

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
            'mos_std': self.deviation[row],
            'set': self.set[row],
            'img_path': self.table['path'][row],
            'index': row,
        }
        if self.cache is not None:
            item['features'] = self.cache.read(self.key(row, self.cache.view_only))
            if not self.cache.view_only:
                return item
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

    def key(self, row: int, view_only: bool = False) -> str:
        """Return the key that identifies a row's picture and prompt, see ``picture_key``; with ``view_only`` for any crops."""
        if (row, view_only) not in self._keys:
            crops = '' if view_only else f'{self.crops} crops of {self.crop_size} at {self.crop_scales}, '
            looks = f'{crops}{"whole" if self.whole_view else "square"} view of {self.view_size}'
            self._keys[row, view_only] = picture_key(self.table['path'][row], looks, self.table['prompt'][row])
        return self._keys[row, view_only]

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
