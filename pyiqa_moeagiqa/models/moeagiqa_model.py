"""Train MoE-AGIQA to score images, as several crops each, with prompts; write checkpoints that describe themselves."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pyiqa.losses import build_loss
from pyiqa.utils import get_root_logger
from torch import Tensor, nn

from ..archs.experts import ExpertScores
from ..archs.moeagiqa_arch import Assessment, Features, MoEAGIQA, mean_over_crops
from ..archs.tokenizer import tokenize
from ..checkpoints.file import Checkpoint, save
from ..checkpoints.find import home
from ..checkpoints.partial import fingerprint, note_sources, portable
from ..checkpoints.start import start_network
from ..data.feature_cache import FeatureCache, as_features, as_stored
from ..data.options import table_names
from ..distributed import gather, processes
from ..options import OptionError
from .losses import fidelity_loss, loss_of_each_set, matching_loss, ranking_loss
from .run_options import OPTIMISTIC, chooses_on_test
from .training_model import TrainingModel

# The output of ``encode`` depends only on these configuration fields and on the frozen weights.
ENCODED_BY = (
    'visual', 'visual_options', 'layers', 'norm_layers', 'token_pool', 'class_tokens', 'view_is_crop', 'pixel_mean',
    'pixel_std', 'semantic', 'semantic_options', 'branches', 'prior', 'crop_size', 'prompt_tokens', 'frozen_share',
)  # fmt: skip


class MoEAGIQAModel(TrainingModel):
    """Trains and validates MoEAGIQA; ``model_type: MoEAGIQAModel`` in an option file.

    Reads ``network`` (see ``start_network``), ``datasets`` (PromptNRDataset), ``val`` as pyiqa's models do, and
    ``train``. From ``train`` it reads the options of every TrainingModel and these:

    - ``mos_loss_opt`` and ``metric_loss_opt``: pyiqa's losses, on the mean over an image's crops;
    - ``ranking_weight``, ``fidelity_weight`` and ``matching_weight``: see ``losses``;
    - ``cache_frozen``, ``cache_validation`` and ``cache_folder``: with ``cache_frozen`` true, features are float16, so scores
      differ from the metric's by about 1e-4; all other features are float32;
    - ``save_whole``: checkpoints hold the frozen tensors, too;
    - ``frozen_dropout`` and ``inject_from_zero`` (w1 and w2 of the prior's injection start at 0): the released
      implementation does both.

    The losses of several targets are added up.

    Raises:
        OptionError, CheckpointError: with a message of one sentence, before training starts.
    """

    def start(self, opt: Mapping[str, Any]) -> MoEAGIQA:
        if any(data.get('degrade') for data in opt['datasets'].values()):
            raise OptionError('datasets option degrade is true: it is for a MoEAGIQAPriorModel; remove it.')
        network, self.info = start_network(opt['network'])
        network.frozen_dropout = opt.get('train', {}).get('frozen_dropout', False)
        if network.config.linear and opt.get('train'):
            network.novelty.usual.zero_()  # zero switches novelty off: its values come from other pictures
        if opt.get('train', {}).get('inject_from_zero'):
            if not hasattr(network, 'inject'):
                raise OptionError('train option inject_from_zero is true: it needs a network with a prior.')
            nn.init.zeros_(network.inject.w1)
        return network

    def validation(self, dataloader: Any, current_iter: int, tb_logger: Any, save_img: bool = False) -> None:
        if OPTIMISTIC not in self.warned and chooses_on_test(self.opt):
            self.warned.add(OPTIMISTIC)
            get_root_logger().warning(OPTIMISTIC)
        super().validation(dataloader, current_iter, tb_logger, save_img)

    @property
    def data_names(self) -> list[str]:
        """The names of the tables that it is trained on."""
        return table_names(self.opt['datasets']['train']['meta_info_file'])

    def _start_training(self, train: Mapping[str, Any]) -> None:
        super()._start_training(train)
        self.mos_loss = build_loss(train['mos_loss_opt'])
        self.metric_loss = build_loss(train['metric_loss_opt']) if train.get('metric_loss_opt') else None
        self.ranking_weight, self.matching_weight = train.get('ranking_weight', 0), train.get('matching_weight', 0)
        self.fidelity_weight = train.get('fidelity_weight', 0)
        compares = [name for name in ('metric_loss_opt', 'ranking_weight', 'fidelity_weight') if train.get(name)]
        if compares and self.opt['datasets']['train'].get('batch_size_per_gpu', 1) * processes() < 2:
            raise OptionError(
                f'train option {compares[0]} compares the images of a batch, but a batch has 1: raise global_batch_size of '
                'datasets.train.'
            )
        if self.matching_weight and not self.network.config.matching:
            raise OptionError('train option matching_weight needs a network with option matching above 0.')
        self.caches = self._open_caches(train)

    def _open_caches(self, train: Mapping[str, Any]) -> dict[str, FeatureCache]:
        """Where frozen features are kept, for 'train', 'val' and 'test', which is the measurement after training."""
        kept = train.get('cache_frozen', False)
        if kept:
            self._require_no_adapters('cache_frozen', view_only=kept == 'view')
        for phase in self.opt['datasets'] if kept else ():
            self._require_fixed(phase, 'cache_frozen', view_only=kept == 'view')
        if kept is True:
            return dict.fromkeys(('train', 'val', 'test'), self._open_cache(train))
        caches = {}
        if kept == 'view':
            if self.network.config.branches == 'visual':
                raise OptionError("train option cache_frozen is 'view': this network has no view; remove it.")
            caches = dict.fromkeys(('train', 'val'), self._open_cache(train, view_only=True, dtype=torch.float32))
        if train.get('cache_validation'):
            self._require_no_adapters('cache_validation')
            for phase in self.opt['datasets'].keys() - {'train'}:
                self._require_fixed(phase, 'cache_validation')
            caches['val'] = self._open_cache(train, dtype=torch.float32)
        return caches

    def _require_fixed(self, phase: str, option: str, view_only: bool = False) -> None:
        """Raise an OptionError if a data set's pictures, or with ``view_only`` their views, change from epoch to epoch."""
        data, training = self.opt['datasets'][phase], phase == 'train'
        moves = {'random_crops': not view_only and data.get('random_crops', training)}
        moves |= {'hflip': training and data.get('hflip', False)}
        if any(moves.values()):
            names = ' and '.join(name for name, moving in moves.items() if moving)
            raise OptionError(
                f'train option {option} needs pictures that stay the same: set {names} of datasets.{phase} to false.'
            )

    def _require_no_adapters(self, option: str, view_only: bool = False) -> None:
        """Raise an OptionError if training changes an encoder whose features are to be kept, by adapters."""
        config = self.network.config
        kept = {'visual', 'prior'} if not view_only else {'visual'} if config.reads_image_with_visual else set()
        if config.lora_rank and (adapted := kept & set(config.lora_towers)):
            raise OptionError(
                f'train option {option} is {str(self.opt["train"][option]).lower()}: it must be false if network option lora_towers has '
                f'{" or ".join(sorted(adapted))}, whose features training then changes.'
            )

    def _open_cache(self, train: Mapping[str, Any], **kind: Any) -> FeatureCache:
        config = self.network.config.to_dict()
        described = {name: config[name] for name in ENCODED_BY} | {'dtype': str(self.precision.dtype)}
        described |= {f'kept_{name}': str(value) for name, value in kind.items()}
        folder = Path(train.get('cache_folder', 'cache'))
        if folder.exists() and not folder.is_dir():
            raise OptionError(f'train option cache_folder is {str(folder)!r}: it is a file; name a folder.')
        return FeatureCache(folder, fingerprint(self.frozen(), json.dumps(described)), **kind)

    def feed_data(self, data: Mapping[str, Any]) -> None:
        """Take a batch of PromptNRDataset; its prompts become the tokens that the network's text encoder reads."""
        ids, mask, _ = tokenize(data['prompt'], self.network.config.prompt_tokens, self.network.tokenizer)
        super().feed_data({**data, 'ids': ids, 'mask': mask})

    def features(self) -> Features | None:
        """Return the batch's cached features of the frozen parts; None without a cache. The network computes the others."""
        stored = self.batch.get('features')
        if stored is None:
            if 'test' not in self.caches:
                return None
            with torch.autocast(self.device.type, enabled=False):  # autocast must not cast the features from disk
                stored = self.caches['test'].look_up(self.batch['key'], self.encodes(self.caches['test']))
        return as_features({name: part.to(self.device) for name, part in stored.items()})

    def encodes(self, cache: FeatureCache) -> Callable[[list[int]], dict[str, Tensor]]:
        """Return what computes the features that ``cache`` keeps, of the pictures at some places in the batch."""

        def compute(places: list[int]) -> dict[str, Tensor]:
            crops, *others = (self.batch[name][places] for name in ('crops', 'view', 'ids', 'mask'))
            with self.precision.autocast():
                network = self.network
                features = network.encode_view(*others) if cache.view_only else network.encode(crops, *others)
            return as_stored(features, cache.dtype)

        return compute

    def _assess(self) -> Assessment:
        batch = self.batch
        return self.net(batch.get('crops'), batch.get('view'), batch['ids'], batch['mask'], self.features())

    def assess(self) -> dict[str, ExpertScores]:
        return self._assess().targets

    def losses(self) -> dict[str, Tensor]:
        answer, losses = self._assess(), {}
        all_mos, all_weights = gather(self.batch['mos_label']), gather(self.batch['mos_weight'])
        deviations, sets = gather(self.batch['mos_std']), gather(self.batch['set'])
        for place, (target, part) in enumerate(answer.targets.items()):
            score = gather(self.mean_over_crops(part.score.float()))
            mos, weight = all_mos[:, place : place + 1], all_weights[:, place : place + 1]
            losses[f'l_{target}'] = self.mos_loss(score, mos, weight=weight)
            if self.metric_loss is not None:
                losses[f'l_metric_{target}'] = loss_of_each_set(self.metric_loss, score, mos, sets)
            if self.ranking_weight:
                losses[f'l_ranking_{target}'] = self.ranking_weight * ranking_loss(score, mos, sets)
            if self.fidelity_weight:
                loss = fidelity_loss(score, mos, deviations[:, place : place + 1], sets)
                losses[f'l_fidelity_{target}'] = self.fidelity_weight * loss
        if self.matching_weight and answer.matching is not None:
            image, prompt = map(gather, answer.matching)
            losses['l_matching'] = self.matching_weight * matching_loss(image, prompt, gather(self.batch['ids']))
        return losses

    def mean_over_crops(self, scores: Tensor) -> Tensor:
        return mean_over_crops(scores, self.network.config)

    def frozen(self) -> dict[str, Tensor]:
        # No encoder's file holds the statistics of the training pictures, so each checkpoint carries them.
        return {name: tensor for name, tensor in super().frozen().items() if not name.startswith('novelty.')}

    def write_checkpoint(self, path: Path) -> None:
        """Write a checkpoint that ``create_metric(..., pretrained_model_path=)`` loads as it is."""
        weights, info = self.tensors(), self._describe()
        if not self.opt['train'].get('save_whole'):
            frozen = self.frozen()
            weights = {name: tensor for name, tensor in weights.items() if name not in frozen}
            info['frozen'] = self._describe_frozen()
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        save(Checkpoint(self.network.config, weights, info), path.with_name(path.name + '.safetensors'))

    def _describe_frozen(self) -> dict[str, Any]:
        """Describe the frozen tensors that a checkpoint of trained tensors lacks, and where they come from.

        Note the sources in this user's folder, so that the checkpoint loads on this machine from any folder.
        """
        sources = portable(self.opt['network']['weights'])
        if not hasattr(self, 'frozen_fingerprint'):
            self.frozen_fingerprint = fingerprint(self.frozen())
            try:
                note_sources(self.frozen_fingerprint, sources)
            except OSError as error:
                get_root_logger().warning(
                    f'{home()}: it cannot be written ({error.strerror}), so networks of this run find their frozen tensors '
                    'only in files beside them; with train.save_whole they need no other file.'
                )
        return {'fingerprint': self.frozen_fingerprint, 'weights': sources}

    def _describe(self) -> dict[str, Any]:
        data, names = self.opt['datasets']['train'], self.data_names
        start = self.opt['network']['weights']
        # only if measured on these weights
        figures = self.result.named(self.validated) if self.measured_at == self.iteration else {}
        # Scores of several sets lie between their scales, and a loss on pairs alone gives none.
        has_scale = len(names) == 1 and self.opt['train']['mos_loss_opt'].get('loss_weight', 1) > 0
        return {
            'model_name': self.network.config.model_name,
            'run': self.opt['name'],
            'dataset': ' + '.join(names) if len(names) > 1 else data['name'],
            **({'split': data['split_column']} if 'split_column' in data else {}),
            'mos_range': list(data['mos_range']) if has_scale else 'unknown',
            'licence': self.info.get('licence', 'unknown: that of the weights it started from and of the data set'),
            'sources': {part: Path(source).name for part, source in start.items()},
            'figures': figures,
        }
