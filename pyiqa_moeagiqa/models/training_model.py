"""The model that pyiqa's trainer calls, for any network: steps, validation, checkpoints, and resuming a run.

It does what option files promise, where pyiqa's own models do not: a resumed run has the network's weights and knows the
best result so far, the rate follows the whole run, validation takes any batch size and is spread over processes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from pyiqa.models.base_model import BaseModel
from pyiqa.utils import get_root_logger
from pyiqa.utils.dist_util import master_only
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..archs.lora import plain_names
from ..data.feature_cache import FeatureCache
from ..distributed import average_over_processes
from ..options import OptionError, quoted
from .average import MovingAverage
from .precision import Precision
from .schedule import build_schedule
from .state_file import StateWriter
from .validation import Validation, validate

FUSED = ('Adam', 'AdamW')  # one pass over memory instead of a dozen


class TrainingModel(BaseModel, ABC):
    """Trains and validates a network; a subclass defines the network, its losses, its scores and its checkpoint.

    Reads from ``train``: ``optim`` and ``scheduler`` (torch's classes), ``warmup``, ``schedule_per`` ('iteration' for each
    optimizer update, or 'epoch'), ``accumulate`` (batches per update), ``amp``, ``matmul_precision``, ``ema_decay``,
    ``clip_grad_norm``.

    Random numbers within a step depend only on ``manual_seed``, the iteration and the process.
    """

    def __init__(self, opt: dict[str, Any]):
        super().__init__(opt)
        network = self.start(opt)
        self.net = self._to_device(network)
        self.iteration, self.identity = 0, ''
        self.caches: dict[str, FeatureCache] = {}  # of frozen features, for 'train', 'val' and 'test'
        self.warned: set[str] = set()
        self.measured_at = -1  # the iteration at which ``metric_results`` were measured
        trained = {name: tensor for name, tensor in network.named_parameters() if tensor.requires_grad}
        self.trained = plain_names(trained)
        get_root_logger().info(
            f'{type(network).__name__}: {sum(p.numel() for p in network.parameters()):,} parameters, '
            f'{sum(p.numel() for p in self.trained.values()):,} of them are trained.'
        )
        if self.is_train:
            self._start_training(opt['train'])

    @abstractmethod
    def start(self, opt: Mapping[str, Any]) -> nn.Module:
        """Build the network with the weights it starts from."""

    @abstractmethod
    def losses(self) -> dict[str, Tensor]:
        """The losses of ``self.batch``; their sum is minimised."""

    @abstractmethod
    def assess(self) -> dict[str, Any]:
        """Per target, the scores (N, n) of ``self.batch``, and optionally ``gate`` and ``chosen`` (see ``ExpertScores``)."""

    def hits(self) -> Tensor | None:
        """Return (N,), 1 where the last answer has the right kind of degradation, else 0; None if no kind is predicted."""
        return None

    @abstractmethod
    def write_checkpoint(self, path: Path) -> None:
        """Write the network as it is now; ``path`` lacks the suffix."""

    @property
    def network(self) -> Any:
        """The network that ``start`` built."""
        return self.get_bare_model(self.net)

    def tensors(self) -> dict[str, Tensor]:
        """The network's tensors, under their names in files."""
        return plain_names(self.network.state_dict())

    def frozen(self) -> dict[str, Tensor]:
        """The tensors that training leaves as they are."""
        return {name: tensor for name, tensor in self.tensors().items() if name not in self.trained}

    def _to_device(self, network: nn.Module) -> Any:
        network = network.to(self.device)
        if not self.opt['dist']:
            return network
        devices = [torch.cuda.current_device()] if self.device.type == 'cuda' else None
        # Buffers are constants, so they need no broadcast. A broadcast with every batch would put the processes out of step
        # in validation, where some have one batch more than others.
        return DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)

    def _start_training(self, train: Mapping[str, Any]) -> None:
        self.net.train()
        self.precision = Precision(train.get('amp', False), self.device, train.get('matmul_precision', 'highest'))
        self.accumulate = train.get('accumulate', 1)
        optim = dict(train['optim'])
        kind = optim.pop('type')
        if kind in FUSED:
            optim.setdefault('fused', True)
        self.optimizers = [self.get_optimizer(kind, list(self.trained.values()), **optim)]
        self.per_epoch = train.get('schedule_per', 'iteration') == 'epoch'
        self.batches = self._batches_per_epoch(train)
        length = self.batches if self.per_epoch else self.accumulate
        steps = -(-train['total_iter'] // length)
        if train.get('warmup', 0) >= steps:
            unit = 'epochs' if self.per_epoch else 'updates'
            get_root_logger().warning(
                f'train option warmup is {train["warmup"]}, but the whole run has {steps} {unit}: the learning rate '
                'never reaches its full value; shorten the warmup.'
            )
        self.schedulers = [build_schedule(self.optimizers[0], train, steps)]
        self.average = MovingAverage(self.trained, train['ema_decay']) if train.get('ema_decay') else None
        self.states = StateWriter()

    def _batches_per_epoch(self, train: Mapping[str, Any]) -> int:
        epochs = train.get('total_epoch')
        if self.per_epoch and not epochs:
            raise OptionError("train option schedule_per is 'epoch': it needs total_epoch instead of total_iter.")
        return train['total_iter'] // epochs if epochs else train['total_iter']

    def feed_data(self, data: Mapping[str, Any]) -> None:
        """Take a batch of PromptNRDataset; tensors go to the device."""
        self.batch: dict[str, Any] = {
            name: value.to(self.device) if isinstance(value, Tensor) else value for name, value in data.items()
        }

    def optimize_parameters(self, current_iter: int) -> None:
        """Train on one batch; the optimizer updates after every ``accumulate``-th batch and after the last of the run.

        Raises:
            FloatingPointError: if the loss or its gradient is not finite; the last checkpoint stays as it is.
        """
        torch.manual_seed(self._step_seed(current_iter))
        self._set_rate(current_iter)
        updates = current_iter % self.accumulate == 0 or current_iter == self.opt['train']['total_iter']
        alone = nullcontext() if updates or not self.opt['dist'] else self.net.no_sync()
        with alone, self.precision.products():
            with self.precision.autocast():
                losses = self.losses()
            total: Any = sum(losses.values())
            self._require_finite('loss', total, current_iter)
            self.precision.scaler.scale(total / self._group(current_iter)).backward()
        if updates:
            self._update(current_iter)
        self.iteration = current_iter
        self.log_dict = {name: loss.item() for name, loss in losses.items()}

    def _group(self, iteration: int) -> int:
        """Return how many batches this iteration's update has; the run's last update can have fewer."""
        total = self.opt['train']['total_iter']
        left_over = total % self.accumulate
        return left_over if iteration > total - left_over else self.accumulate

    def _step_seed(self, iteration: int) -> int:
        return (self.opt['manual_seed'] * 1_000_003 + iteration) * 1_009 + self.opt['rank']

    def _set_rate(self, iteration: int) -> None:
        """Step the schedule before the update, so that the logged rate is the one that was used."""
        length = self.batches if self.per_epoch else self.accumulate
        if iteration > 1 and (iteration - 1) % length == 0:
            self.schedulers[0].step()

    def _require_finite(self, what: str, value: Tensor, iteration: int) -> None:
        if not value.isfinite():
            rate = self.optimizers[0].param_groups[0]['lr']
            names = ', '.join(map(str, self.batch['img_path'][:4]))
            raise FloatingPointError(
                f'The {what} is {value.item()} at iteration {iteration} (rate {rate:g}, images {names} ...): lower the rate, '
                'or look at these images; the last checkpoint is whole.'
            )

    def _update(self, iteration: int) -> None:
        scaler, optimizer = self.precision.scaler, self.optimizers[0]
        scaler.unscale_(optimizer)
        norm = nn.utils.get_total_norm([p.grad for p in self.trained.values() if p.grad is not None])
        if self.opt['train'].get('clip_grad_norm'):
            nn.utils.clip_grads_with_norm_(self.trained.values(), self.opt['train']['clip_grad_norm'], norm)
        if not scaler.is_enabled():  # a scaler skips an update that is not finite by itself
            self._require_finite('norm of the gradient', norm, iteration)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        """Do nothing: pyiqa calls this once per epoch, but ``_set_rate`` steps the schedule."""

    def averaged(self) -> Any:
        """Return a context in which the network has the weights to validate and save: the moving average if it is kept."""
        average = getattr(self, 'average', None)
        return nullcontext() if average is None else average.in_place()

    def test(self) -> None:
        """Put the batch's scores (N, targets), as the metric gives them, into ``self.output_score``."""
        self.net.eval()
        # Once training is over, scores are float32, as the metric's are.
        autocast = self.precision.autocast() if self.is_train else nullcontext()
        with torch.no_grad(), autocast:
            self.answer = self.assess()
        self.output_score = torch.cat([self.mean_over_crops(part.score) for part in self.answer.values()], dim=1)
        self.net.train(self.is_train)

    def mean_over_crops(self, scores: Tensor) -> Tensor:
        """An image's score from its crops' scores: (N, n) -> (N, 1)."""
        return scores.mean(dim=1, keepdim=True)

    def validation(self, dataloader: Any, current_iter: int, tb_logger: Any, save_img: bool = False) -> None:
        """Score a data set, log the metrics of ``val:``, and keep the best network.

        The first target's metrics have the names of ``val.metrics``. For other targets the name begins with the target,
        such as 'alignment_srcc'. Those of a data set with several tables are means over the tables. Only the first data set, ``datasets.val``, decides which network is the best.
        """
        self.validated = dataloader.dataset.opt['name']
        with self.averaged():
            result = validate(self, dataloader)
        self.result, self.metric_results, self.measured_at = result, result.figures, self.iteration
        if self.opt['rank'] != 0:
            return
        self._initialize_best_metric_results(self.validated)
        if self._is_best(current_iter) and self.is_train and self._decides(dataloader):
            self.save_network(self.network, 'net_best', current_iter=None)
        self._log_results(result, current_iter, tb_logger)

    def _decides(self, dataloader: Any) -> bool:
        return self.validated == self.opt['datasets']['val']['name']

    def _is_best(self, current_iter: int) -> bool:
        """Note the results if they are the best so far, by the key metric or, without one, by any metric.

        After training, the same network is measured again as the next iteration, so equal results are not better.
        """
        best, results = self.best_metric_results[self.validated], self.metric_results
        better = [
            name
            for name in best
            if (
                results[name] < best[name]['val']
                if best[name]['better'] == 'lower'
                else results[name] > best[name]['val']
            )
        ]
        is_best = self.key_metric in better if self.key_metric else bool(better)
        for name in best if is_best and self.key_metric else better if is_best else ():
            self._update_metric_result(self.validated, name, results[name], current_iter)
        return is_best

    def _log_results(self, result: Validation, current_iter: int, tb_logger: Any) -> None:
        best, lines = self.best_metric_results[self.validated], []
        for name, value in result.figures.items():
            known = f'\tBest: {best[name]["val"]:.4f} @ {best[name]["iter"]} iter' if name in best else ''
            lines.append(f'# {name}: {value:.4f}{known}')
        for name, figures in result.of_tables.items():
            lines.append(f'# {name}: {", ".join(f"{figure} {value:.4f}" for figure, value in figures.items())}')
        get_root_logger().info('\n\t '.join([f'Validation {self.validated}', *lines]))
        for warning in set(result.dead_experts()) - self.warned:
            self.warned.add(warning)
            get_root_logger().warning(f'{warning} (seen first in {self.validated}, iteration {current_iter})')
        if tb_logger:
            result.write_to(tb_logger, self.validated, current_iter)

    def save(self, epoch: int, current_iter: int) -> None:
        """Write the network and what a resumed run needs; -1 stands for the latest."""
        self.save_network(self.network, 'net', current_iter)
        self.save_training_state(epoch, current_iter)
        self.states.finish()

    @master_only
    def save_network(
        self, net: nn.Module, net_label: str, current_iter: int | None = None, param_key: Any = None
    ) -> None:
        """Write a checkpoint that can be used as it is; with ``ema_decay`` it holds the moving average."""
        suffix = {None: '', -1: '_latest'}.get(current_iter, f'_{current_iter}')
        with self.averaged():
            self.write_checkpoint(Path(self.opt['path']['models']) / f'{net_label}{suffix}')

    def state(self, epoch: int) -> dict[str, Any]:
        """Return everything that a resumed run needs to continue."""
        gradients = {name: p.grad for name, p in self.trained.items() if p.grad is not None}
        return {
            'identity': self.identity,
            'epoch': epoch,
            'iter': self.iteration,
            'optimizers': [optimizer.state_dict() for optimizer in self.optimizers],
            'schedulers': [scheduler.state_dict() for scheduler in self.schedulers],
            'trained': {name: parameter.detach() for name, parameter in self.trained.items()},
            'gradients': gradients,  # summed so far for the next update
            'scaler': self.precision.scaler.state_dict(),
            'average': self.average.state_dict() if self.average is not None else None,
            'best_metric_results': getattr(self, 'best_metric_results', {}),
        }

    def save_training_state(self, epoch: int, current_iter: int) -> None:
        """Begin to write what a resumed run needs; ``states.finish`` waits until it is written.

        The latest state has a name that pyiqa's --auto_resume ignores. Call this in all processes: each has a gradient of its
        own until an update is complete.
        """
        for parameter in self.trained.values():
            if parameter.grad is not None:
                average_over_processes(parameter.grad)
        if self.opt['rank'] == 0:
            name = 'latest.pt' if current_iter == -1 else f'{current_iter}.state'
            self.states.write(self.state(epoch), Path(self.opt['path']['training_states']) / name)

    def resume_training(self, resume_state: Mapping[str, Any]) -> None:
        """Go on where ``save_training_state`` left off.

        Raises:
            OptionError: for a state without weights, such as another pyiqa model's, or with those of another network.
        """
        if 'trained' not in resume_state:
            raise OptionError(
                f'path option resume_state names a state without weights: it is not from {type(self).__name__}.'
            )
        try:
            self._take(resume_state)
        except Exception as error:  # which error another network's state raises depends on where it first differs
            raise OptionError(
                f'The saved training state is not of this network ({type(error).__name__}: {quoted(error)}); remove it to start over.'
            ) from None

    def _take(self, resume_state: Mapping[str, Any]) -> None:
        super().resume_training(resume_state)
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(resume_state['trained'][name])
                gradient = resume_state['gradients'].get(name)
                parameter.grad = None if gradient is None else gradient.to(parameter.device)
        self.precision.scaler.load_state_dict(resume_state['scaler'])
        if self.average is not None:
            self.average.load_state_dict(resume_state['average'])
        self.iteration = resume_state['iter']
        self.key_metric = self.opt.get('val', {}).get('key_metric')
        if resume_state['best_metric_results']:
            self.best_metric_results = resume_state['best_metric_results']
