"""One run: train, keep the best network and measure it. After an interruption the same call continues the run exactly."""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from pyiqa.data import build_dataset
from pyiqa.models import build_model
from pyiqa.utils import get_root_logger, set_random_seed
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..checkpoints.partial import fingerprint
from ..data.batches import batches
from ..data.feature_cache import FeatureCache
from ..data.prompt_nr_dataset import PromptNRDataset
from ..distributed import barrier, processes, rank, share
from ..models.fill_in import fill_in, fill_in_from
from ..models.run_options import test_sets
from ..models.training_model import TrainingModel
from ..models.validation import require_decidable
from ..options import OptionError
from .option_file import as_the_trainer_parses
from .order import EpochOrder
from .progress import Progress, log_to, note_figures
from .run_folder import BEST, RunFolder

NEVER = 1 << 60


def run(options: Mapping[str, Any], folder: Path | str, fresh: bool = False) -> dict[str, Any]:
    """Train as ``options`` say, with all files in ``folder``; a finished run is not repeated.

    Args:
        options: as ``read_options`` gives them.
        folder: the run's own folder; an interrupted run in it is continued, and the best network of a finished one is measured
            again if ``test`` has changed.
        fresh: delete an earlier run in that folder, once the new run has passed its checks.

    Returns:
        ``best_iteration``, ``figures`` of the best network: data set -> metric -> value, for the validation sets, every set
        under ``test``, and each table of one that has several; and ``images``, how many each has.

    Raises:
        OptionError, CheckpointError, TableError, FloatingPointError: with a message of one sentence; the last state
            stays whole.
    """
    here = RunFolder(folder)
    here.require_no_others()
    opt = as_the_trainer_parses(options, here.path)
    start_processes(opt)
    opt = fill_in(opt)
    if not fresh and (result := here.result(options)):
        return result
    barrier()  # all processes have looked into the folder before the first one changes it
    set_random_seed(opt['manual_seed'])  # the same seed on every process: random weights start equal
    training, validation, tests = _build_data(opt)
    here.require_no_weights(options['network'])
    model = build_model(opt)
    model.identity = _identity(model, training, validation)
    with here.held() if rank() == 0 else nullcontext():
        if rank() == 0:
            here.open(options, fresh)
            here.save_splits(_images_of([training, *map(_data_of, [*validation, *tests])]))
            log_to(here.path)
        barrier()
        _keep_features(model, training, validation, tests)
        if here.goes_on:
            _resume(model, here)
        barrier()  # all processes have read the state before the first one writes the next
        _train(model, training, validation, opt)
        barrier()  # the first process has written the best network before the others read it
        result, predictions = _measure_best(model, [*validation, *tests], opt)
        if rank() == 0:
            here.save_result(result, predictions)
    return result


def start_processes(opt: Mapping[str, Any]) -> None:
    """Join the other processes if torchrun started this one."""
    if not opt['dist'] or dist.is_initialized():
        return
    on_gpu = opt['num_gpu'] > 0
    if on_gpu:
        torch.cuda.set_device(int(os.environ.get('LOCAL_RANK', 0)))
    dist.init_process_group('nccl' if on_gpu else 'gloo')


def _identity(model: TrainingModel, training: PromptNRDataset, validation: list[DataLoader]) -> str:
    """Return a fingerprint of what must not change in a resumed run.

    It covers the rows, the frozen weights and the batch size of all processes together.
    """
    columns = ['path', 'prompt', *training.targets]
    tables = [training.table, *(_data_of(loader).table for loader in validation)]
    rows = [table[columns].to_csv(index=False) for table in tables]
    return fingerprint(model.frozen(), json.dumps([training.batch, rows]))


def _resume(model: TrainingModel, folder: RunFolder) -> None:
    state = folder.state()
    if state.get('identity') != model.identity:
        raise OptionError(
            f'{folder.path}: the data, the frozen weights or the number of processes are not those that this run began '
            'with: bring them back, or add --fresh to start over.'
        )
    model.resume_training(state)


def _build_data(opt: dict[str, Any]) -> tuple[PromptNRDataset, list[DataLoader], list[DataLoader]]:
    """Build the training data and the validation and test loaders; fill in what follows from the training data.

    A test set takes the options of ``datasets.val`` that it does not give itself; its split is 'test' by default.
    """
    training = build_dataset(opt['datasets']['train'])
    fill_in_from(training, opt)
    validation = [_loader(data) for phase, data in opt['datasets'].items() if phase != 'train']
    tests = [_loader(data) for data in test_sets(opt).values()]
    others = [_data_of(loader) for loader in [*validation, *tests]]
    _require_apart(training, others)
    if rank() == 0:
        _note_shared_prompts(training, others)
    require_decidable(_data_of(validation[0]), opt['val'])
    return training, validation, tests


def _images_of(datasets: Iterable[PromptNRDataset]) -> pd.DataFrame:
    """Every image of each data set: data, path and prompt."""
    return pd.concat([_named(data) for data in datasets])


def _named(data: PromptNRDataset) -> pd.DataFrame:
    """Path and prompt of a data set's images, behind the name of the set, or of the image's table in it (see ``parts``)."""
    table, names = data.table[['path', 'prompt']].copy(), np.empty(len(data.table), dtype=object)
    for name, rows in data.parts().items():
        names[rows] = name
    table.insert(0, 'data', names)
    table['path'] = table['path'].map(os.path.abspath)  # the file is read from other folders, too
    return table


def _require_apart(training: PromptNRDataset, others: Iterable[PromptNRDataset]) -> None:
    """Raise an OptionError for a data set that has images of the training set."""
    trained = {os.path.realpath(path) for path in training.table['path']}
    for other in others:
        both = sum(os.path.realpath(path) in trained for path in other.table['path'])
        if both:
            raise OptionError(
                f'{both} of the {len(other.table)} images of {other.opt["name"]} are in the training set, too: give '
                'both the same split_column and different splits, or take these images out of its table.'
            )


def _note_shared_prompts(training: PromptNRDataset, others: Iterable[PromptNRDataset]) -> None:
    """Warn if a split by prompt has prompts on both sides: several tables are split one by one."""
    if not (training.options.split_column or '').startswith('prompt'):
        return
    seen = set(training.table['prompt'])
    for other in others:
        if both := sorted(seen & set(other.table['prompt'])):
            get_root_logger().warning(
                f'{other.opt["name"]} shares prompts with the training set ({len(both)}, such as {both[0]!r}): its figures are not of '
                'unseen prompts alone.'
            )


def _data_of(loader: Any) -> PromptNRDataset:
    """Return the data set of one of a run's loaders."""
    return loader.dataset


def _loader(data: Mapping[str, Any]) -> DataLoader:
    dataset = build_dataset(dict(data))
    if len(dataset) < processes():
        raise OptionError(f'{data["name"]} has {len(dataset)} images, fewer than there are processes ({processes()}).')
    batch, workers = data.get('batch_size_per_gpu', 1), data.get('num_worker_per_gpu', 0)
    return DataLoader(dataset, batch_size=batch, num_workers=workers)


def _keep_features(
    model: TrainingModel, training: PromptNRDataset, validation: list[DataLoader], tests: list[DataLoader]
) -> None:
    """Compute the features that the model's caches lack; all epochs then read features instead of computing them."""
    uses = {'train': [training], 'val': map(_data_of, validation), 'test': map(_data_of, tests)}
    for use, cache in model.caches.items():
        for dataset in uses[use]:
            compute_missing(model, dataset, cache)
            barrier()
            dataset.cache = cache


def compute_missing(model: Any, dataset: PromptNRDataset, cache: FeatureCache) -> None:
    """Compute and keep the frozen parts' features of those images of a data set that the cache lacks.

    Raises:
        TableError: if they do not fit the disk; the first batch says how large they are.
    """
    rows = [row for row in share(len(dataset.table)) if dataset.key(row, cache.view_only) not in cache]
    batch = min(dataset.opt.get('batch_size_per_gpu', 1), 8)
    loader = DataLoader(
        torch.utils.data.Subset(dataset, rows), batch_size=batch, num_workers=dataset.opt.get('num_worker_per_gpu', 0)
    )
    label = f'frozen features of {dataset.opt["name"]}'
    for number, data in enumerate(
        tqdm(batches(loader), desc=label, total=len(loader), unit='batch', disable=rank() != 0 or not rows), 1
    ):
        model.feed_data(data)
        keys = [dataset.key(row, cache.view_only) for row in data['index'].tolist()]
        cache.fill(keys, model.encodes(cache))
        if number == 1:
            size = cache.require_room((len(rows) - len(keys)) * processes(), keys[0])
            get_root_logger().info(f'{label}: {size / 1e9:.1f} GB more in {cache.folder}')


def _train(model: TrainingModel, training: PromptNRDataset, validation: list[DataLoader], opt: dict[str, Any]) -> None:
    data = opt['datasets']['train']
    order = EpochOrder(
        len(training), data.get('batch_size_per_gpu', 1), opt['manual_seed'], rank(), processes(),
        data.get('use_shuffle', True),
    )  # fmt: skip
    loader = DataLoader(
        training, batch_sampler=order, num_workers=data.get('num_worker_per_gpu', 0),
        pin_memory=data.get('pin_memory', False), persistent_workers=data.get('persistent_workers', False) and data.get('num_worker_per_gpu', 0) > 0,
    )  # fmt: skip
    total, iteration = opt['train']['total_iter'], model.iteration
    progress = Progress(opt, iteration, total, rank() == 0)
    try:
        while iteration < total:
            epoch, begin = divmod(iteration, len(order))
            order.set_epoch(epoch, begin)
            training.set_epoch(opt['manual_seed'], epoch)
            for batch in batches(loader):
                iteration += 1
                model.feed_data(batch)
                model.optimize_parameters(iteration)
                progress.step(model, epoch, iteration)
                _validate_and_save(model, validation, epoch, iteration, progress, opt)
                if iteration == total:
                    break
    finally:
        progress.close()
        model.states.finish()


def _validate_and_save(
    model: TrainingModel, validation: list[DataLoader], epoch: int, iteration: int, progress: Progress, opt: dict
) -> None:
    """Validate and save when due after an iteration; validate first, so that the state holds the best result."""
    last, logger = iteration == opt['train']['total_iter'], opt['logger']
    if last or iteration % opt['val']['val_freq'] == 0:
        for loader in validation:
            model.validation(loader, iteration, progress.tb_logger)
            if rank() == 0:
                for name, figures in model.result.named(model.validated).items():
                    note_figures(Path(opt['path']['experiments_root']), name, iteration, figures)
        progress.validated(model)
    if iteration % logger.get('save_checkpoint_freq', NEVER) == 0:
        model.save_network(model.network, 'net', iteration)
    if last:  # before the state: the state of a finished run then implies that all its networks are written
        model.save_network(model.network, 'net', -1)
    if last or iteration % logger['save_latest_freq'] == 0:
        model.save_training_state(epoch, -1)


def _measure_best(
    model: TrainingModel, loaders: list[DataLoader], opt: dict[str, Any]
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Measure the best network on the validation and test sets; return the run's result, and the scores of all images."""
    path, names = Path(opt['path']['experiments_root']) / BEST, ', '.join(opt['val']['metrics'])
    if not path.is_file():
        raise OptionError(
            f'No validation of {opt["datasets"]["val"]["name"]} gave a number for {names}, so no network is the best: all MOS or '
            'all scores are the same.'
        )
    best = load_file(path)
    with torch.no_grad():
        for name, parameter in model.trained.items():
            parameter.copy_(best[name])
    model.average = None  # with ema_decay, net_best holds the average already: do not swap it in
    model.is_train = False
    figures: dict[str, dict[str, float]] = {}
    predictions = []
    for loader in loaders:
        _data_of(loader).cache = model.caches.get('test')  # what only training's own validations may read is left out
        model.validation(loader, model.iteration, None)
        figures |= model.result.named(model.validated)
        predictions.append(_predictions(_data_of(loader), model))
    decided = model.best_metric_results[opt['datasets']['val']['name']] if rank() == 0 else {}
    key = opt['val'].get('key_metric')
    # without a key metric, an improvement of any metric makes a network the best
    iterations = [noted['iter'] for name, noted in decided.items() if key in (None, name)]
    scores = pd.concat(predictions)
    images = {name: int(count) for name, count in scores['data'].value_counts(sort=False).items()}
    return {'best_iteration': max(iterations, default=None), 'figures': figures, 'images': images}, scores


def _predictions(data: PromptNRDataset, model: TrainingModel) -> pd.DataFrame:
    """Each image's path, prompt, MOS and scores: the first target's is ``score``, as in score files, another's ``score_TARGET``."""
    table = _named(data)
    # with degrade, the label is made together with the picture
    table[data.targets] = model.result.mos if data.degrade else data.table[data.targets]
    table[['score', *(f'score_{target}' for target in data.targets[1:])]] = model.result.scores
    return table
