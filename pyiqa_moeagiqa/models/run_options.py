"""Every section of an option file, checked before hours are spent on a run."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, Field, model_validator
from pyiqa.losses import LOSS_REGISTRY

from ..data.options import PromptNROptions
from ..options import OptionError, quoted, shown
from ..section import LEFT_OUT, Count, FromZero, NotNegative, Said, Section, Share, Text, Wrong, require
from ..tree import check_tree
from .schedule import build_schedule

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
    """Its class."""
    lr: NotNegative = LEFT_OUT
    """Learning rate."""
    lr_decay: NotNegative = LEFT_OUT
    """How fast the rate falls, for classes that take it."""
    weight_decay: NotNegative = LEFT_OUT
    """Weight decay."""


class SchedulerOptions(Section, extra='allow'):
    """The learning rate's schedule: ``type``, and what that class of ``torch.optim.lr_scheduler`` takes."""

    type: Annotated[str, _class_of(torch.optim.lr_scheduler), Said('a class of torch.optim.lr_scheduler')]
    """Its class."""
    T_max: NotNegative = LEFT_OUT
    """CosineAnnealingLR's half period; by default the whole run."""
    T_0: NotNegative = LEFT_OUT
    """Steps until the first restart, for classes that take it."""
    T_mult: NotNegative = LEFT_OUT
    """How much longer each restart takes, for classes that take it."""
    step_size: NotNegative = LEFT_OUT
    """Steps between two falls, for classes that take it."""
    eta_min: NotNegative = LEFT_OUT
    """The lowest rate, for classes that take it."""
    gamma: NotNegative = LEFT_OUT
    """What each fall multiplies the rate by, for classes that take it."""


class LossOptions(Section):
    """The loss on MOS, of the mean over an image's crops."""

    type: Literal['L1Loss', 'MSELoss']
    """pyiqa's class."""
    loss_weight: NotNegative = 1.0
    """How much it counts."""
    reduction: Literal['mean'] = 'mean'
    """Over a batch."""


class MetricLossOptions(Section):
    """A loss on a batch's scores together, such as their correlation with MOS."""

    type: Annotated[str, AfterValidator(_loss), Said("one of pyiqa's losses, such as 'PLCCLoss'")]
    """pyiqa's class."""
    loss_weight: Any = 1.0
    """How much it counts."""
    detach: Any = False
    """As that class takes it."""


class TrainOptions(Section):
    """How the network is trained."""

    optim: OptimOptions
    """The optimizer."""
    scheduler: SchedulerOptions
    """The learning rate's schedule."""
    warmup: FromZero = 0
    """Steps over which the rate rises from a hundredth to its full height."""
    schedule_per: Literal['iteration', 'epoch'] = 'iteration'
    """What a step of the schedule is: an optimizer's update, or an epoch."""
    total_epoch: Count = LEFT_OUT
    """Length of the run in epochs."""
    total_iter: Count = LEFT_OUT
    """Length of the run in batches, instead of ``total_epoch``."""
    accumulate: Count = 1
    """Batches per update."""
    amp: bool | Literal['bfloat16', 'float16'] = False
    """Mixed precision; true takes what the hardware has."""
    ema_decay: Share = 0.0
    """Decay of the moving average of weights that is validated and kept; 0 for none."""
    clip_grad_norm: NotNegative = 0.0
    """Longest norm of the gradient; 0 for any."""
    mos_loss_opt: LossOptions
    """The loss on MOS."""
    metric_loss_opt: MetricLossOptions = LEFT_OUT
    """A loss on a batch's scores together."""
    ranking_weight: NotNegative = 0.0
    """Weight of the loss on the order of a batch's scores."""
    matching_weight: NotNegative = 0.0
    """Weight of the loss that tells an image's own prompt from others."""
    frozen_dropout: bool = False
    """Whether frozen layers have dropout, as in the released implementation."""
    inject_from_zero: bool = False
    """Whether w1 and w2 of the prior's injection start at 0, as in the released implementation."""
    cache_frozen: bool = False
    """Whether the frozen encoders' features are computed once and kept."""
    cache_folder: Text = 'cache'
    """Where they are kept."""
    save_whole: bool = False
    """Whether checkpoints hold the frozen tensors, too."""

    @model_validator(mode='after')
    def _fits_together(self) -> 'TrainOptions':
        if not self.total_epoch and not self.total_iter:
            raise Wrong('total_epoch', 'a whole number of at least 1')
        if self.cache_frozen and self.frozen_dropout:
            raise Wrong('frozen_dropout', 'false with cache_frozen')
        return self


class FigureOptions(Section):
    """One figure of a validation."""

    type: Literal['calculate_srcc', 'calculate_plcc', 'calculate_krcc', 'calculate_rmse', 'calculate_main_score']
    """pyiqa's function; 'calculate_main_score' is the mean of SRCC and PLCC."""
    better: Literal['higher', 'lower'] = 'higher'
    """Which figure is the better one."""

    @model_validator(mode='after')
    def _error_is_low(self) -> 'FigureOptions':
        if self.type == 'calculate_rmse' and self.better != 'lower':
            raise Wrong('better', "'lower' with calculate_rmse: the smaller the error the better")
        return self


class ValOptions(Section):
    """How the network is validated, and the best one chosen."""

    val_freq: Length
    """Batches from one validation to the next, or 'epoch'."""
    save_img: bool = False
    """Taken for pyiqa's sake: no images are written."""
    pbar: bool = False
    """Whether a bar shows how far a validation is."""
    key_metric: Text | None = None
    """The figure that decides which network is the best; without it a network is kept that is better by any."""
    metrics: Annotated[
        dict[str, FigureOptions], Field(min_length=1), Said('at least one figure, as in srcc: {type: calculate_srcc}')
    ]
    """Figures by name."""

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
    """Batches from one line to the next."""
    save_latest_freq: Length = LEFT_OUT
    """Batches from one state to go on from to the next, or 'epoch'; by default with each validation."""
    save_checkpoint_freq: Length = LEFT_OUT
    """Batches from one network that is kept to the next, or 'epoch'; by default the best and the last are kept."""
    use_tb_logger: bool = False
    """Whether TensorBoard's files are written."""
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
    """The state that pyiqa's own trainer goes on from."""
    experiments_root: Text = LEFT_OUT
    """Set by the trainer, as the others below."""
    models: Text = LEFT_OUT
    """Networks."""
    training_states: Text = LEFT_OUT
    """States to go on from."""
    log: Text = LEFT_OUT
    """Logs."""
    visualization: Text = LEFT_OUT
    """Images."""


class DistOptions(Section):
    """Several processes, for pyiqa's own trainer."""

    backend: Literal['nccl', 'gloo'] = 'nccl'
    """How they talk."""
    port: Count = LEFT_OUT
    """Where they meet."""


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

    name: Annotated[str, AfterValidator(_folder), Said("text without slashes, as the run's folder is named after it")]
    """The run's name."""
    model_type: Literal['MoEAGIQAModel', 'MoEAGIQAPriorModel']
    """What is trained: the network, or its natural degradation prior."""
    num_gpu: Literal['auto'] | FromZero = 'auto'
    """Number of GPUs; 0 trains on the processor. Start a run on more than one with torchrun."""
    manual_seed: int = Field(123, ge=0, le=2**32 - 1)
    """Seed of all random numbers."""
    datasets: dict[str, DataSetOptions]
    """``train``, ``val``, and any number of others named ``val_ANYTHING``."""
    test: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Data sets by name, on which the best network is measured. Give what differs from ``datasets.val``; the split is 'test'."""
    network: dict[str, Any]
    """The network, and where its weights start."""
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
    """Published figures, which stand beside the run's."""

    @model_validator(mode='after')
    def _trains_and_validates(self) -> 'RunOptions':
        for phase in ('train', 'val'):
            if phase not in self.datasets:
                raise OptionError(f'datasets option {phase} is missing: it must be a section of its own.')
        for phase in self.datasets:
            if phase not in ('train', 'val') and not phase.startswith('val_'):
                raise OptionError(f'Unknown datasets option {shown(phase)}: known are train, val and val_ANYTHING.')
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
    launched = options.get('dist') or 'WORLD_SIZE' in os.environ
    if count != 'auto' and count > 1 and not launched:
        raise OptionError(
            f'num_gpu is {count} without a launcher: start one process per GPU, with "torchrun --nproc-per-node {count} '
            '--no-python moeagiqa train ..." (pyiqa\'s own trainer takes --launcher pytorch, too); DataParallel is not '
            'supported.'
        )


def test_sets(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the data sets under ``test``; each takes the options of ``datasets.val`` that it does not give itself.

    The split is 'test' by default.
    """
    given = options.get('test', {}).items()
    return {name: {**options['datasets']['val'], 'split': 'test', **data, 'name': name} for name, data in given}


def _try_optimizer(train: Mapping[str, Any]) -> None:
    """Build optimizer and schedule for one number, so that torch reports wrong options before the data is read."""
    optim = dict(train['optim'])
    kind = optim.pop('type')
    try:
        optimizer = getattr(torch.optim, kind)([torch.nn.Parameter(torch.zeros(1))], **optim)
    except Exception as error:  # torch raises many kinds of errors for wrong arguments
        raise OptionError(
            f'train.optim is {shown(train["optim"])}: torch.optim.{kind} does not take it ({quoted(error)}).'
        ) from None
    try:
        build_schedule(optimizer, train, steps=2)
    except Exception as error:
        kind = train['scheduler']['type']
        raise OptionError(
            f'train.scheduler is {shown(train["scheduler"])}: {kind} does not take it ({quoted(error)}).'
        ) from None
