"""What pyiqa's trainer drives: several crops per image and a prompt in, scores out, self-describing checkpoints kept.

Where pyiqa's own models differ from what its option files promise, this one keeps the promise: a resumed run has the
network's weights and knows the best result so far, the rate follows the whole run, validation takes any batch size.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pyiqa.losses import build_loss
from pyiqa.metrics import calculate_metric
from pyiqa.models.base_model import BaseModel
from pyiqa.utils import get_root_logger
from pyiqa.utils.dist_util import master_only
from torch import Tensor
from tqdm import tqdm

from ..archs.moeagiqa_arch import Assessment, MoEAGIQA
from ..checkpoints.file import Checkpoint, save
from ..checkpoints.start import start_network
from ..options import OptionError
from .feature_cache import FeatureCache
from .losses import matching_loss
from .options import check_datasets_fit, check_training_options


class MoEAGIQAModel(BaseModel):
    """Trains and validates MoEAGIQA; ``model_type: MoEAGIQAModel`` in an option file.

    Reads ``network`` (see ``start_network``), ``datasets`` (PromptNRDataset), ``val`` as pyiqa's models do, and
    ``train``: ``optim`` and ``scheduler`` (torch's classes; the scheduler is stepped per iteration, a missing T_max is
    the whole run), ``mos_loss_opt`` and ``metric_loss_opt`` (pyiqa's losses, on the mean over an image's crops),
    ``matching_weight`` (contrast between prompts), ``clip_grad_norm``, ``cache_frozen``.

    Raises:
        OptionError, CheckpointError: in one sentence, before training starts.
    """

    def __init__(self, opt: dict[str, Any]):
        super().__init__(opt)
        if self.is_train:
            check_training_options(opt)
        network, self.info = start_network(opt['network'])
        check_datasets_fit(opt['datasets'], network.config, network.view_size)
        self.net = self.model_to_device(network)
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        get_root_logger().info(
            f'MoE-AGIQA: {sum(p.numel() for p in network.parameters()):,} parameters, '
            f'{sum(p.numel() for p in trained):,} of them are trained.'
        )
        if self.is_train:
            self._start_training(opt['train'], trained)

    @property
    def network(self) -> MoEAGIQA:
        return self.get_bare_model(self.net)

    def _start_training(self, train: Mapping[str, Any], trained: list[Tensor]) -> None:
        self.net.train()
        self.mos_loss = build_loss(train['mos_loss_opt'])
        self.metric_loss = build_loss(train['metric_loss_opt']) if train.get('metric_loss_opt') else None
        self.matching_weight = train.get('matching_weight', 0)
        if self.matching_weight and not self.network.config.matching:
            raise OptionError('train option matching_weight needs a network with option matching above 0.')
        self.caches = self._make_caches(train)
        optim = dict(train['optim'])
        self.optimizers = [self.get_optimizer(optim.pop('type'), trained, **optim)]
        scheduler = dict(train['scheduler'])
        kind = scheduler.pop('type')
        if kind == 'CosineAnnealingLR':
            scheduler.setdefault('T_max', train['total_iter'])
        self.schedulers = [getattr(torch.optim.lr_scheduler, kind)(self.optimizers[0], **scheduler)]

    def _make_caches(self, train: Mapping[str, Any]) -> dict[str, FeatureCache] | None:
        if not train.get('cache_frozen'):
            return None
        data = self.opt['datasets']['train']
        if not self.network.encoders_frozen:
            raise OptionError('train option cache_frozen needs frozen encoders: set network option frozen_share to 1.')
        if data.get('random_crops', True) or data.get('hflip', False):
            raise OptionError(
                'train option cache_frozen needs pictures that stay the same: set random_crops and hflip of '
                'datasets.train to false.'
            )
        return {}

    def feed_data(self, data: Mapping[str, Any]) -> None:
        """Take a batch of PromptNRDataset; tensors only go to the device."""
        self.batch = {name: data[name].to(self.device) for name in ('crops', 'view', 'ids', 'mask', 'mos_label')}
        self.rows = data['index']

    def _assess(self, cache_name: str) -> Assessment:
        batch, features = self.batch, None
        if getattr(self, 'caches', None) is not None:
            cache = self.caches.setdefault(cache_name, FeatureCache())
            features = cache.encode(self.network, self.rows, batch['crops'], batch['view'])
        return self.net(batch['crops'], batch['view'], batch['ids'], batch['mask'], features)

    def optimize_parameters(self, current_iter: int) -> None:
        """One step on the batch.

        Raises:
            FloatingPointError: where the loss is not finite; the last checkpoint stays as it is.
        """
        if current_iter > 1:
            self.schedulers[0].step()  # before the step, so that the rate that is logged is the one that was used
        optimizer = self.optimizers[0]
        optimizer.zero_grad(set_to_none=True)
        losses = self._losses(self._assess('train'))
        total = sum(losses.values())
        if not total.isfinite():
            rate = optimizer.param_groups[0]['lr']
            raise FloatingPointError(
                f'The loss is {total.item()} at iteration {current_iter} (rate {rate:g}): lower it.'
            )
        total.backward()
        if self.opt['train'].get('clip_grad_norm'):
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.opt['train']['clip_grad_norm'])
        optimizer.step()
        self.log_dict = self.reduce_loss_dict(losses)

    def _losses(self, assessment: Assessment) -> dict[str, Tensor]:
        losses = {}
        for place, (target, answer) in enumerate(assessment.targets.items()):
            score, mos = answer.score.mean(dim=1, keepdim=True), self.batch['mos_label'][:, place : place + 1]
            losses[f'l_{target}'] = self.mos_loss(score, mos)
            if self.metric_loss is not None:
                losses[f'l_metric_{target}'] = self.metric_loss(score, mos)
        if self.matching_weight:
            losses['l_matching'] = self.matching_weight * matching_loss(assessment.matching, self.batch['ids'])
        return losses

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        """Nothing: pyiqa calls this once per epoch, but the schedule is per iteration (see optimize_parameters)."""

    def test(self) -> None:
        """Scores (N, targets) of the batch, as the metric gives them, in ``self.output_score``."""
        self.net.eval()
        with torch.no_grad():
            targets = self._assess(f'val {self.validated}').targets.values()
            self.output_score = torch.stack([answer.score.mean(dim=1) for answer in targets], dim=1)
        self.net.train(self.is_train)

    def dist_validation(self, dataloader, current_iter: int, tb_logger, save_img: bool) -> None:
        """Validate on the first process alone, as pyiqa's models do."""
        if self.opt['rank'] == 0:
            self.nondist_validation(dataloader, current_iter, tb_logger, save_img)

    def nondist_validation(self, dataloader, current_iter: int, tb_logger, save_img: bool) -> None:
        """Score a data set, log the metrics of ``val:`` for the first target, and keep the best network."""
        self.validated = dataloader.dataset.opt['name']
        scores, mos = self._score_all(dataloader)
        self._initialize_best_metric_results(self.validated)
        self.metric_results = {
            name: float(calculate_metric([scores[:, 0], mos[:, 0]], dict(options)))
            for name, options in self.opt['val']['metrics'].items()
        }
        if self._is_best(current_iter) and self.is_train:
            self.save_network(self.network, 'net_best', current_iter=None)
        self._log_results(current_iter, tb_logger)

    def _score_all(self, dataloader) -> tuple[Any, Any]:
        scores, mos = [], []
        for data in tqdm(dataloader, desc=self.validated, disable=not self.opt['val'].get('pbar', False)):
            self.feed_data(data)
            self.test()
            scores.append(self.output_score.cpu())
            mos.append(data['mos_label'])
        return torch.cat(scores).numpy(), torch.cat(mos).numpy()

    def _is_best(self, current_iter: int) -> bool:
        """Note the results where they are the best so far, by the key metric or else by any metric.

        The network is measured again when training ends, at the same iteration plus one: equal is not better.
        """
        best, results = self.best_metric_results[self.validated], self.metric_results
        better = [
            name
            for name, value in results.items()
            if (value < best[name]['val'] if best[name]['better'] == 'lower' else value > best[name]['val'])
        ]
        is_best = self.key_metric in better if self.key_metric else bool(better)
        for name in results if is_best and self.key_metric else better if is_best else ():
            self._update_metric_result(self.validated, name, results[name], current_iter)
        return is_best

    def _log_results(self, current_iter: int, tb_logger) -> None:
        best = self.best_metric_results[self.validated]
        lines = [
            f'# {name}: {value:.4f}\tBest: {best[name]["val"]:.4f} @ {best[name]["iter"]} iter'
            for name, value in self.metric_results.items()
        ]
        get_root_logger().info('\n\t '.join([f'Validation {self.validated}', *lines]))
        for name, value in self.metric_results.items() if tb_logger else ():
            tb_logger.add_scalar(f'val_metrics/{self.validated}/{name}', value, current_iter)

    def save(self, epoch: int, current_iter: int) -> None:
        """Write the network and what a resumed run needs; -1 stands for the latest."""
        self.save_network(self.network, 'net', current_iter)
        self.save_training_state(epoch, current_iter)

    @master_only
    def save_network(self, net: MoEAGIQA, net_label: str, current_iter: int | None = None, param_key=None) -> None:
        """Write a checkpoint that ``create_metric(..., pretrained_model_path=)`` takes as it is."""
        suffix = {None: '', -1: '_latest'}.get(current_iter, f'_{current_iter}')
        path = Path(self.opt['path']['models']) / f'{net_label}{suffix}.safetensors'
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
        save(Checkpoint(net.config, weights, self._describe()), path)

    def _describe(self) -> dict[str, Any]:
        data = self.opt['datasets']['train']
        start = self.opt['network']['weights']
        figures = getattr(self, 'metric_results', {})
        return {
            'model_name': self.network.config.model_name,
            'run': self.opt['name'],
            'dataset': data['name'],
            'mos_range': list(data['mos_range']),
            'licence': self.info.get('licence', 'unknown: that of the weights it started from and of the data set'),
            'sources': {part: os.path.basename(source) for part, source in start.items()},
            'figures': {getattr(self, 'validated', data['name']): figures},
        }

    @master_only
    def save_training_state(self, epoch: int, current_iter: int) -> None:
        """Write what pyiqa's states lack too: the trained weights and the best results so far."""
        if current_iter == -1:
            return
        trained = {name for name, parameter in self.network.named_parameters() if parameter.requires_grad}
        state = {
            'epoch': epoch,
            'iter': current_iter,
            'optimizers': [optimizer.state_dict() for optimizer in self.optimizers],
            'schedulers': [scheduler.state_dict() for scheduler in self.schedulers],
            'trained': {name: tensor for name, tensor in self.network.state_dict().items() if name in trained},
            'best_metric_results': getattr(self, 'best_metric_results', {}),
        }
        path = Path(self.opt['path']['training_states']) / f'{current_iter}.state'
        part = path.with_suffix('.part')
        torch.save(state, part)
        part.replace(path)

    def resume_training(self, resume_state: Mapping[str, Any]) -> None:
        """Go on where ``save_training_state`` left off: weights, optimizer, schedule and best results.

        Raises:
            OptionError: for a state that has no weights, such as one that another pyiqa model wrote.
        """
        if 'trained' not in resume_state:
            raise OptionError('path option resume_state names a state without weights: it is not from MoEAGIQAModel.')
        super().resume_training(resume_state)
        self.network.load_state_dict(resume_state['trained'], strict=False)
        self.key_metric = self.opt.get('val', {}).get('key_metric')
        if resume_state['best_metric_results']:
            self.best_metric_results = resume_state['best_metric_results']
