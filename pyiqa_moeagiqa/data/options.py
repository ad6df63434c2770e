"""The options of the prompt-aware data sets, which are checked before any data is read."""

from typing import Annotated, Literal

from pydantic import model_validator

from ..archs.config import Crops, MoEAGIQAConfig, PromptTokens, Scales
from ..archs.encoder_options import Side
from ..section import LEFT_OUT, Count, FromZero, Range, Said, Section, Text, Texts, Wrong

NETWORK = MoEAGIQAConfig()
TRAINING_CROPS = 3
NO_THREAD = "'cuda' or left out: an unreadable image would hang pyiqa's thread of 'cpu'"


class TableOptions(Section):
    """Which rows of which table, and what pyiqa's loader reads of the same section."""

    name: Text = LEFT_OUT
    """The data set's name, in tables and logs."""
    type: Text = LEFT_OUT
    """The data set's class."""
    phase: Text = 'train'
    """Set by the trainer: 'train' or 'val'."""
    meta_info_file: Text
    """CSV, JSON lines or Parquet with columns path, prompt, one per target, and split."""
    dataroot_target: Text = LEFT_OUT
    """Folder that the paths are relative to; by default the table's."""
    mos_range: Range = LEFT_OUT
    """Lowest and highest possible MOS; labels are scaled to [0, 1]. By default that of the data set that the table is named
    after, or else the lowest and highest in the table."""
    split_column: Text = LEFT_OUT
    """Column with each row's split; by default 'split', if the table has it."""
    split_index: Count = LEFT_OUT
    """Number of the split, from 1, as pyiqa's ``train_nsplits.py`` gives it: it replaces the number at the end of
    ``split_column``, which is counted from 0."""
    num_worker_per_gpu: FromZero = 0
    """Processes that read images."""
    batch_size_per_gpu: Count = 1
    """Images per batch of each process."""
    pin_memory: bool = False
    """Whether batches lie in pinned memory."""
    persistent_workers: bool = False
    """Whether the processes that read images stay from epoch to epoch."""


class PromptNROptions(TableOptions):
    """Options of ``PromptNRDataset``. In a run, targets, sizes and crops that are left out are the network's."""

    split: Text | Texts = LEFT_OUT
    """Which rows: a split, a list such as [train, val], or 'all'; by default that of the section."""
    targets: Texts = NETWORK.targets
    """MOS columns, in the network's order."""
    crop_size: Side = NETWORK.crop_size
    """Side of a crop in pixels."""
    crops: Crops = LEFT_OUT
    """Crops per image; by default 3 in training, and the network's in validation."""
    view_size: Side = NETWORK.view_size
    """Side of the view in pixels."""
    crop_scales: Scales = NETWORK.crop_scales
    """Scales at which crops are cut, see ``network.crop_scales``."""
    whole_view: bool = NETWORK.whole_view
    """Whether the view shows all of the picture, see ``network.whole_view``."""
    prompt_tokens: PromptTokens = NETWORK.prompt_tokens
    """Prompts are padded or cut to it."""
    random_crops: bool = LEFT_OUT
    """Whether crops lie anywhere, or where the metric puts them; by default true in training."""
    hflip: bool = False
    """Whether training images are mirrored half of the time."""
    weight_by_std: bool = False
    """Whether labels weigh as 1 / (their standard deviation, from column TARGET_std), 1 on average."""
    degrade: bool = False
    """Whether each image is degraded synthetically; its label is then 1 - strength. For the prior's pre-training."""
    prefetch_mode: Annotated[Literal['cuda'] | None, Said(NO_THREAD)] = None
    """How pyiqa's own trainer prefetches; "moeagiqa train" reads ahead without it."""
    use_shuffle: bool = True
    """Whether training images come in another order in each epoch."""
    dataset_enlarge_ratio: Count = 1
    """How often pyiqa's own trainer shows each image per epoch; "moeagiqa train" takes 1 alone."""

    @model_validator(mode='after')
    def _one_strength(self) -> 'PromptNROptions':
        if self.degrade and len(self.targets) > 1:
            raise Wrong('targets', 'one with degrade, the strength')
        return self


class BenchmarkOptions(TableOptions):
    """Options of ``PromptBenchmarkDataset``."""

    target: Text = 'quality'
    """The MOS column."""
    prefetch_mode: Literal['cuda', 'cpu'] | None = None
    """How pyiqa's loader prefetches."""
    num_prefetch_queue: Count = 1
    """How many batches pyiqa's loader prefetches."""
    split: Text = 'test'
    """The split to take, if there is a ``split_column``."""
