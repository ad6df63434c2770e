"""The options of the prompt-aware data sets, which are checked before any data is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, model_validator

from ..archs.config import Crops, MoEAGIQAConfig, Scales
from ..archs.encoder_options import SizeOption
from ..options import is_range
from ..section import LEFT_OUT, Count, FromZero, Range, Said, Section, Text, Texts, Wrong, require

NETWORK = MoEAGIQAConfig()
TRAINING_CROPS = 3
NO_THREAD = "'cuda' or left out, because with 'cpu' an unreadable image would stop pyiqa for ever"


def _ranges(value: Any) -> Any:
    require(is_range(value) or (isinstance(value, list) and len(value) > 0 and all(map(is_range, value))))
    return value


Ranges = Annotated[
    Any,
    AfterValidator(_ranges),
    Said('the lowest and highest possible value, as in [0, 5], or a list of such pairs, one for each table'),
]


def table_names(files: str | Sequence[str]) -> list[str]:
    """The names of the tables of an option ``meta_info_file``: those of the files, without their endings."""
    return [Path(file).stem for file in ([files] if isinstance(files, str) else files)]


class OneTable(NamedTuple):
    """One table of a data set: its name and file, the folder of its images and its range of MOS, both None if not given."""

    name: str
    file: str
    folder: str | None
    mos_range: Any


class TableOptions(Section):
    """Which rows of which table, and what pyiqa's loader reads of the same section."""

    name: Text = LEFT_OUT
    """The data set's name, in tables and logs."""
    type: Text = LEFT_OUT
    """The data set's class."""
    phase: Text = 'train'
    """Set by the trainer: 'train' or 'val'."""
    split_column: Text = LEFT_OUT
    """Column with the split of each row; by default 'split' if the table has that column. A name such as prompt_5folds_seed0_2 needs no
    column: it is the third of five folds over prompts (or image_..., over images), a function of the table and the seed."""
    split_index: Count = LEFT_OUT
    """Number of the split, from 1, as pyiqa's ``train_nsplits.py`` gives it: it replaces the number at the end of
    ``split_column``, which is counted from 0."""
    num_worker_per_gpu: FromZero = 0
    """Number of processes that read images."""
    batch_size_per_gpu: Count = 1
    """Images per batch, in each training process."""
    pin_memory: bool = False
    """Whether batches are put in pinned memory."""
    persistent_workers: bool = False
    """Whether the reading processes stay alive between epochs."""


class PromptNROptions(TableOptions):
    """Options of ``PromptNRDataset``. In a run, targets, sizes and crops that are left out are the network's."""

    meta_info_file: Text | Texts
    """A table (CSV, JSON lines or Parquet) with columns path, prompt, one for each target, and one for the split; or a list of such
    tables, for one network on all of them. The MOS of each are scaled by its own range, and figures are of each, and their mean."""
    dataroot_target: Text | Texts = LEFT_OUT
    """Folder to which the tables' paths are relative, or a list with one for each table; by default the folder of each table."""
    mos_range: Ranges = LEFT_OUT
    """Lowest and highest possible MOS, or a list with such a pair for each table; they become the labels 0 and 1. By default, the range
    of the data set that a table is named after, or else the lowest and highest in the table."""
    split: Text | Texts = LEFT_OUT
    """The rows to take: a split, several such as [train, val], or 'all'; by default 'train' or 'val', like the section."""
    targets: Texts = NETWORK.targets
    """MOS columns, in the network's order."""
    crop_size: SizeOption = NETWORK.crop_size
    """Side of a crop in pixels, or its height and width."""
    crops: Crops = LEFT_OUT
    """Crops per image; by default 3 in training, and the network's in validation."""
    view_size: SizeOption = NETWORK.view_size
    """Side of the view in pixels, or its height and width."""
    crop_scales: Scales = NETWORK.crop_scales
    """Scales at which crops are cut, see ``network.crop_scales``."""
    whole_view: bool = NETWORK.whole_view
    """Whether the view shows all of the picture, see ``network.whole_view``."""
    random_crops: bool = LEFT_OUT
    """Whether crops are at random places instead of those that the metric takes; by default true in training."""
    hflip: bool = False
    """Whether half of the training images, chosen at random, are mirrored."""
    weight_by_std: bool = False
    """Whether a label weighs 1 / (its standard deviation, from column TARGET_std); the mean weight is 1."""
    degrade: bool = False
    """Whether each image is degraded at random, with 1 - strength as its label; for the pre-training of the prior."""
    prefetch_mode: Annotated[Literal['cuda'] | None, Said(NO_THREAD)] = None
    """How pyiqa's own trainer prefetches; "moeagiqa train" reads ahead without it."""
    use_shuffle: bool = True
    """Whether each epoch takes the training images in another order."""
    dataset_enlarge_ratio: Count = 1
    """How many times an epoch of pyiqa's own trainer takes each image; "moeagiqa train" allows only 1."""

    @model_validator(mode='after')
    def _one_for_each(self) -> 'PromptNROptions':
        names = table_names(self.meta_info_file)
        if len(set(names)) < len(names):
            raise Wrong('meta_info_file', 'tables of different names')
        for option, values in (('dataroot_target', self.dataroot_target), ('mos_range', self.mos_range)):
            if not _is_for_all(values) and len(values) != len(names):
                raise Wrong(option, f'one for all tables, or a list of {len(names)}, one for each table')
        return self

    def files(self) -> tuple[str, ...]:
        """The files of all tables."""
        return (self.meta_info_file,) if isinstance(self.meta_info_file, str) else self.meta_info_file

    def tables(self) -> list[OneTable]:
        """Each table with its folder and its range."""
        files = self.files()
        folders, ranges = (
            [values] * len(files) if _is_for_all(values) else values
            for values in (self.dataroot_target, self.mos_range)
        )
        names = table_names(files)
        return [OneTable(*one) for one in zip(names, files, folders, ranges, strict=True)]

    @model_validator(mode='after')
    def _one_strength(self) -> 'PromptNROptions':
        if self.degrade and len(self.targets) > 1:
            raise Wrong('targets', 'one name if degrade is true, because the strength is the only label')
        return self


def _is_for_all(values: Any) -> bool:
    """Whether an option is one value for all tables, and no list with one for each."""
    return values is None or isinstance(values, str) or is_range(values)


class BenchmarkOptions(TableOptions):
    """Options of ``PromptBenchmarkDataset``."""

    meta_info_file: Text
    """A table (CSV, JSON lines or Parquet) with columns path, prompt, one for each target, and one for the split."""
    dataroot_target: Text = LEFT_OUT
    """Folder to which the table's paths are relative; by default the folder of the table."""
    mos_range: Range = LEFT_OUT
    """Lowest and highest possible MOS; they become the labels 0 and 1. By default, the range of the data set that the table is named
    after, or else the lowest and highest in the table."""
    target: Text = 'quality'
    """The MOS column."""
    prefetch_mode: Literal['cuda', 'cpu'] | None = None
    """How pyiqa's loader prefetches."""
    num_prefetch_queue: Count = 1
    """How many batches pyiqa's loader prefetches."""
    split: Text = 'test'
    """The split to take, if the table has a split column."""
