"""Every section of an option file, checked before hours are spent on a run."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, Field, model_validator
from pyiqa.losses import LOSS_REGISTRY

from ..data.options import PromptNROptions
from ..distributed import launched
from ..options import OptionError, quoted, shown
from ..section import LEFT_OUT, Count, FromZero, NotNegative, Said, Section, Share, Text, Wrong, require
from ..tree import check_tree
from .schedule import build_schedule

OPTIMISTIC = (
    'The best network is chosen on the test split itself, as the released protocol does: its figures are optimistic.'
)
# Entries that pyiqa's parser adds to the options.
ADDED = ('dist', 'rank', 'world_size', 'auto_resume', 'is_train', 'root_path')


def _folder(name: str) -> str:
    require(name == os.path.basename(name) and name not in ('', '.', '..'))
    return name


def _class_of(module: Any) -> AfterValidator:
    def validate(name: str) -> str:
        require(isinstance(getattr(module, name, None), type))
        return name

    return AfterValidator(validate)


def _loss(name: str) -> str:
    require(name in LOSS_REGISTRY)
    return name


Length = Count | Literal['epoch']


class OptimOptions(Section, extra='allow'):
    """The optimizer: ``type``, and what that class of ``torch.optim`` takes."""

    type: Annotated[str, _class_of(torch.optim), Said('a class of torch.optim')]
    """The optimizer's class."""
    lr: NotNegative = LEFT_OUT
    """Learning rate."""
    lr_decay: NotNegative = LEFT_OUT
    """How fast the learning rate falls, for classes with this option."""
    weight_decay: NotNegative = LEFT_OUT
    """Weight decay, for classes with this option."""


class SchedulerOptions(Section, extra='allow'):
    """The learning rate's schedule: ``type``, and what that class of ``torch.optim.lr_scheduler`` takes."""

    type: Annotated[str, _class_of(torch.optim.lr_scheduler), Said('a class of torch.optim.lr_scheduler')]
    """The schedule's class."""
    T_max: NotNegative = LEFT_OUT
    """Half period of CosineAnnealingLR in steps; by default the whole run."""
    T_0: NotNegative = LEFT_OUT
    """Steps until the first restart, for classes with this option."""
    T_mult: NotNegative = LEFT_OUT
    """Factor by which the time to the next restart grows, for classes with this option."""
    step_size: NotNegative = LEFT_OUT
    """Steps from one fall of the learning rate to the next, for classes with this option."""
    eta_min: NotNegative = LEFT_OUT
    """Lowest learning rate, for classes with this option."""
    gamma: NotNegative = LEFT_OUT
    """Factor of each fall of the learning rate, for classes with this option."""


class LossOptions(Section):
    """The loss on MOS, of the mean over an image's crops."""

    type: Literal['L1Loss', 'MSELoss']
    """The loss's class in pyiqa."""
    loss_weight: NotNegative = 1.0
    """Weight of this loss in the sum of all losses."""
    reduction: Literal['mean'] = 'mean'
    """How the losses of a batch become one."""


class MetricLossOptions(Section):
    """A loss on a batch's scores together, such as their correlation with MOS."""

    type: Annotated[str, AfterValidator(_loss), Said("one of pyiqa's losses, such as 'PLCCLoss'")]
    """The loss's class in pyiqa."""
    loss_weight: Any = 1.0
    """Weight of this loss in the sum of all losses."""
    detach: Any = False
    """The option ``detach`` of that class."""


class TrainOptions(Section):
    """How the network is trained."""

    optim: OptimOptions
    """The optimizer."""
    scheduler: SchedulerOptions
    """The learning rate's schedule."""
    warmup: FromZero = 0
    """Steps at the start in which the learning rate rises from a hundredth to its full value."""
    schedule_per: Literal['iteration', 'epoch'] = 'iteration'
    """Length of a step of the schedule: one update of the weights, or one epoch."""
    total_epoch: Count = LEFT_OUT
    """Length of the run in epochs."""
    total_iter: Count = LEFT_OUT
    """Length of the run in batches, instead of ``total_epoch``."""
    accumulate: Count = 1
    """Batches per update of the weights."""
    amp: bool | Literal['bfloat16', 'float16'] = False
    """Mixed precision; true chooses the number format that the hardware has."""
    matmul_precision: Literal['highest', 'high', 'medium'] = 'highest'
    """How exact matrix products in float32 are in training steps, as in ``torch.set_float32_matmul_precision``: 'high' is TF32 on
    GPUs that have it, from Ampere on. Validation is always exact."""
    ema_decay: Share = 0.0
    """Decay of a moving average of the weights, which is then validated and saved in their place; 0 for no average."""
    clip_grad_norm: NotNegative = 0.0
    """Gradients with a larger norm are scaled down to it; 0 for no limit."""
    mos_loss_opt: LossOptions
    """The loss on MOS."""
    metric_loss_opt: MetricLossOptions = LEFT_OUT
    """A second loss, on all scores of a batch together."""
    ranking_weight: NotNegative = 0.0
    """Weight of the loss that asks the scores of a batch's images of one table to be in the order of their MOS; 0 for none."""
    fidelity_weight: NotNegative = 0.0
    """Weight of the loss that asks the scores of two images of one table for the preference that raters have, by MOS and TARGET_std;
    0 for none."""
    matching_weight: NotNegative = 0.0
    """Weight of the loss that teaches the network to tell an image's own prompt from others; 0 for none."""
    frozen_dropout: bool = False
    """Whether frozen layers have dropout, as in the released implementation."""
    inject_from_zero: bool = False
    """Whether w1 and w2 of the prior's injection start at 0, as in the released implementation."""
    cache_frozen: bool | Literal['view'] = False
    """Whether the frozen encoders' features are computed once and kept, as float16: all of them, or with 'view' those of the view and
    the prompt alone, as float32. Crops can be random with 'view'."""
    cache_validation: bool = False
    """Whether all frozen features of the validation sets are computed once and kept, as float32. The best network's last measurement
    computes them again."""
    cache_folder: Text = 'cache'
    """Folder for these features."""
    save_whole: bool = False
    """Whether checkpoints also hold the frozen tensors, so that they need no other file."""

    @model_validator(mode='after')
    def _fits_together(self) -> 'TrainOptions':
        if not self.total_epoch and not self.total_iter:
            raise Wrong('total_epoch', 'a whole number of at least 1')
        if (self.cache_frozen or self.cache_validation) and self.frozen_dropout:
            raise Wrong('frozen_dropout', 'false with cache_frozen and cache_validation')
        return self


class FigureOptions(Section):
    """One figure of a validation."""

    type: Literal['calculate_srcc', 'calculate_plcc', 'calculate_krcc', 'calculate_rmse', 'calculate_main_score']
    """The function in pyiqa that computes the figure; 'calculate_main_score' is the mean of SRCC and PLCC."""
    better: Literal['higher', 'lower'] = 'higher'
    """Whether a higher or a lower figure is better."""

    @model_validator(mode='after')
    def _error_is_low(self) -> 'FigureOptions':
        if self.type == 'calculate_rmse' and self.better != 'lower':
            raise Wrong('better', "'lower' for calculate_rmse, because a smaller error is better")
        return self


class ValOptions(Section):
    """How the network is validated, and the best one chosen."""

    val_freq: Length
    """Batches from one validation to the next, or 'epoch'."""
    save_img: bool = False
    """An option of pyiqa that has no effect here."""
    pbar: bool = False
    """Whether a validation shows a progress bar."""
    key_metric: Text | None = None
    """The figure that decides which network is the best; by default a network that is better in any figure is kept."""
    metrics: Annotated[
        dict[str, FigureOptions],
        Field(min_length=1),
        Said('a section with at least one figure, such as srcc: {type: calculate_srcc}'),
    ]
    """The figures to compute, by name."""

    @model_validator(mode='after')
    def _key_is_there(self) -> 'ValOptions':
        if self.key_metric and self.key_metric not in self.metrics:
            raise Wrong('key_metric', f'one of val.metrics: {", ".join(self.metrics)}')
        return self


class WandbOptions(Section):
    """Weights & Biases; it needs the package ``wandb``."""

    project: Text | None = None
    """The project there; left empty, nothing is sent."""
    resume_id: Text | None = None
    """The run there that goes on; left empty, a new one begins."""


class LoggerOptions(Section):
    """What the run logs."""

    print_freq: Count = 20
    """Batches from one line of the log to the next."""
    save_latest_freq: Length = LEFT_OUT
    """Batches from one saved training state to the next, or 'epoch'; by default, each validation saves one."""
    save_checkpoint_freq: Length = LEFT_OUT
    """Batches from one saved network to the next, or 'epoch'; by default only the best and the last one are saved."""
    use_tb_logger: bool = False
    """Whether to write files for TensorBoard."""
    wandb: WandbOptions = WandbOptions()
    """Where Weights & Biases shows the run; it copies what TensorBoard gets."""

    @model_validator(mode='after')
    def _copies_tensorboard(self) -> 'LoggerOptions':
        if self.wandb.project and not self.use_tb_logger:
            raise Wrong('use_tb_logger', "true with wandb, which copies TensorBoard's files")
        return self


class PathOptions(Section):
    """Where pyiqa's own trainer reads and writes."""

    resume_state: Text | None = None
    """The training state from which pyiqa's own trainer continues."""
    experiments_root: Text = LEFT_OUT
    """The folder of all runs; the trainer sets this option and those below."""
    models: Text = LEFT_OUT
    """Folder for networks."""
    training_states: Text = LEFT_OUT
    """Folder for training states."""
    log: Text = LEFT_OUT
    """Folder for logs."""
    visualization: Text = LEFT_OUT
    """Folder for images."""


class DistOptions(Section):
    """Several processes, for pyiqa's own trainer."""

    backend: Literal['nccl', 'gloo'] = 'nccl'
    """How processes exchange data."""
    port: Count = LEFT_OUT
    """The port at which processes meet."""


class DataSetOptions(PromptNROptions):
    """A data set of an option file."""

    name: Text = LEFT_OUT
    """The data set's name, in tables and logs; by default its table's, and the section's behind it if that is not train."""
    type: Literal['PromptNRDataset']
    """The data set's class."""
    global_batch_size: Count = LEFT_OUT
    """Images per batch of all processes together, instead of ``batch_size_per_gpu``."""

    @model_validator(mode='after')
    def _one_size(self) -> 'DataSetOptions':
        if self.global_batch_size and 'batch_size_per_gpu' in self.model_fields_set:
            raise Wrong('global_batch_size', 'left out with batch_size_per_gpu')
        return self


class RunOptions(Section):
    """An option file."""

    name: Annotated[str, AfterValidator(_folder), Said("text without slashes, because the run's folder gets this name")]
    """The run's name."""
    model_type: Literal['MoEAGIQAModel', 'MoEAGIQAPriorModel']
    """What is trained: the network, or its natural degradation prior."""
    num_gpu: Literal['auto'] | FromZero = 'auto'
    """Number of GPUs; 0 trains on the processor. A run on several GPUs is started with torchrun."""
    manual_seed: int = Field(123, ge=0, le=2**32 - 1)
    """Seed of all random numbers."""
    datasets: dict[str, DataSetOptions]
    """``train``, ``val``, and any number of others named ``val_ANYTHING``."""
    test: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Data sets, by name, on which the best network is tested. Give only the options that differ from ``datasets.val``; the split
    is 'test'. One with a table of its own has its own ``mos_range`` and ``dataroot_target``."""
    network: dict[str, Any]
    """The network, and the weights that it starts from."""
    path: PathOptions = PathOptions()
    """Where pyiqa's own trainer reads and writes."""
    train: TrainOptions
    """How the network is trained."""
    val: ValOptions
    """How the network is validated, and the best one chosen."""
    logger: LoggerOptions = LoggerOptions()
    """What the run logs."""
    dist_params: DistOptions = DistOptions()
    """Several processes, for pyiqa's own trainer."""
    split_num: Count = LEFT_OUT
    """Number of splits for pyiqa's ``train_nsplits.py``."""
    save_final_results_path: Text = LEFT_OUT
    """File in which pyiqa's ``train_nsplits.py`` writes the figures of all splits."""
    published: dict[str, Any] = Field(default_factory=dict)
    """Published figures to show beside those of the run."""

    @model_validator(mode='after')
    def _trains_and_validates(self) -> 'RunOptions':
        for phase in ('train', 'val'):
            if phase not in self.datasets:
                raise OptionError(f'datasets option {phase} is missing: it must be a section of its own.')
        for phase in self.datasets:
            if phase not in ('train', 'val') and not phase.startswith('val_'):
                raise OptionError(f'Unknown datasets option {shown(phase)}: the names are train, val and val_ANYTHING.')
        return self


def check_run(options: Mapping[str, Any]) -> None:
    """Raise an OptionError for an unknown or impossible option anywhere in an option file.

    The network's own options, and what they refer to, are checked later, when the network is built.
    """
    given = {name: value for name, value in options.items() if name not in ADDED}
    check_tree(given)
    RunOptions.check(given)
    for name, data in test_sets(options).items():
        DataSetOptions.check(data, f'test.{name}')
    _check_processes(options)
    _try_optimizer(options['train'])


def _check_processes(options: Mapping[str, Any]) -> None:
    count = options.get('num_gpu', 0)
    if count != 'auto' and count > 1 and not (options.get('dist') or launched()):
        raise OptionError(
            f'num_gpu is {count}, but the run was started as one process: start it with "torchrun --nproc-per-node {count} '
            '--no-python moeagiqa train ...", or pyiqa\'s own trainer with --launcher pytorch.'
        )


def test_sets(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the data sets under ``test``; each takes the options of ``datasets.val`` that it does not give itself.

    The split is 'test' by default. A test set with a table of its own takes no range of MOS and no folder of images.
    """
    val, sets = options['datasets']['val'], {}
    of_the_table = {name: value for name, value in val.items() if name not in ('mos_range', 'dataroot_target')}
    for name, data in options.get('test', {}).items():
        shared = of_the_table if 'meta_info_file' in data else val
        sets[name] = {**shared, 'split': 'test', **data, 'name': name}
    return sets


def chooses_on_test(options: Mapping[str, Any]) -> bool:
    """Whether the best network is chosen on test images, so that its figures on them are optimistic."""
    split = options['datasets']['val'].get('split', 'val')
    return bool({'test', 'all'} & set([split] if isinstance(split, str) else split))


def _try_optimizer(train: Mapping[str, Any]) -> None:
    """Build optimizer and schedule for one number, so that torch reports wrong options before the data is read."""
    optim = dict(train['optim'])
    kind = optim.pop('type')
    try:
        optimizer = getattr(torch.optim, kind)([torch.nn.Parameter(torch.zeros(1))], **optim)
    except Exception as error:  # torch raises many kinds of errors for wrong arguments
        raise OptionError(
            f'train.optim is {shown(train["optim"])}: torch.optim.{kind} cannot be made from this ({quoted(error)}).'
        ) from None
    try:
        build_schedule(optimizer, train, steps=2)
    except Exception as error:
        kind = train['scheduler']['type']
        raise OptionError(
            f'train.scheduler is {shown(train["scheduler"])}: {kind} cannot be made from this ({quoted(error)}).'
        ) from None
