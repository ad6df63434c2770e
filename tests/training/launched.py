"""Work of one of several processes that train together, as torchrun starts them."""

import copy
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from pictures import build, plain, short
from torch.utils.data import DataLoader

LOSSES = {
    'metric_loss_opt': {'type': 'PLCCLoss', 'loss_weight': 0.5}, 'ranking_weight': 0.5, 'matching_weight': 0.1,
    'fidelity_weight': 0.5,
}  # fmt: skip


def gradients(options: dict, folder: Path, batch: int, accumulate: int) -> dict:
    """The gradient of the first update with all losses on, the images it saw in their order, and a validation after it."""
    from pyiqa.data import build_dataset

    from pyiqa_moeagiqa.distributed import processes, rank
    from pyiqa_moeagiqa.models.validation import validate
    from pyiqa_moeagiqa.training.order import EpochOrder

    opt = plain(options, **LOSSES, accumulate=accumulate)
    data = {'batch_size_per_gpu': batch, 'weight_by_std': True}
    opt['datasets'] = opt['datasets'] | {'train': opt['datasets']['train'] | data}
    model, data = build(opt, folder)
    found = {}

    def update(iteration):
        found['gradients'] = {name: parameter.grad.clone() for name, parameter in model.trained.items()}

    model._update = update
    images = []
    order = EpochOrder(len(data), batch, opt['manual_seed'], rank(), processes())
    for iteration, one in enumerate(DataLoader(data, batch_sampler=order), 1):
        images += one['img_path']
        model.feed_data(one)
        if iteration <= accumulate:
            model.optimize_parameters(iteration)
    model.validated = 'bright_val'
    validated = validate(model, DataLoader(build_dataset(model.opt['datasets']['val']), batch_size=3))
    return found | {'images': images, 'paths': validated.paths, 'figures': validated.figures, 'gate': validated.gate}


def whole_run(options: dict) -> dict:
    """Options for a run whose end does not hang on rounding: plain gradient descent, no dropout, but all losses."""
    opt = short(options, **LOSSES, optim={'type': 'SGD', 'lr': 0.02}, ema_decay=None, total_epoch=4)
    opt['network'] = opt['network'] | {'dropout': 0.0}
    return opt


def two_runs(opt: dict, folder: Path) -> dict:
    """A run, and the same one stopped in the middle of an update and gone on with; which files this process wrote."""
    from pyiqa_moeagiqa.models import moeagiqa_model, state_file, training_model
    from pyiqa_moeagiqa.training.run import run

    written, step = [], training_model.TrainingModel.optimize_parameters

    def noting(write):
        def noted(content, path):
            written.append(Path(path).name)
            return write(content, path)

        return noted

    def stopped(model, iteration):
        if iteration == 5:  # the state of iteration 3 has half of an update
            raise KeyboardInterrupt
        step(model, iteration)

    moeagiqa_model.save, state_file.write_state = noting(moeagiqa_model.save), noting(state_file.write_state)
    result = run(opt, folder / 'whole')
    whole = list(written)
    training_model.TrainingModel.optimize_parameters = stopped
    try:
        run(opt, folder / 'cut')
    except KeyboardInterrupt:
        training_model.TrainingModel.optimize_parameters = step
        run(opt, folder / 'cut')
    return {'written': whole, 'figures': result['figures']}


def slow_run(opt: dict, folder: Path) -> dict:
    """A run whose only validation is the last one, by a first process that is slow wherever it writes."""
    from pyiqa_moeagiqa.models import moeagiqa_model, state_file
    from pyiqa_moeagiqa.training import run_folder
    from pyiqa_moeagiqa.training.run import run

    def slow(write):
        def written(*args):
            time.sleep(1)
            return write(*args)

        return written

    moeagiqa_model.save, state_file.write_state = slow(moeagiqa_model.save), slow(state_file.write_state)
    run_folder.RunFolder.open = slow(run_folder.RunFolder.open)
    opt = short(opt, total_epoch=1)
    opt['val'] = opt['val'] | {'val_freq': 100}
    return run(opt, folder / 'slow')['figures']


@contextmanager
def joined(rank: int, processes: int, port: int):
    """One of several processes."""
    import torch.distributed as dist

    os.environ |= {
        'RANK': str(rank), 'WORLD_SIZE': str(processes), 'LOCAL_RANK': str(rank),
        'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port),
    }  # fmt: skip
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    try:
        yield
    finally:
        dist.destroy_process_group()


def work(rank: int, processes: int, port: int, options: dict, folder: str) -> None:
    """Everything that the tests look at, in one go: starting is what takes long."""
    options, folder = copy.deepcopy(options), Path(folder)
    options['datasets']['train']['batch_size_per_gpu'] = 2
    with joined(rank, processes, port):
        found = {accumulate: gradients(options, folder, 2, accumulate) for accumulate in (1, 2)}
        torch.save(found, folder / f'gradients{rank}.pt')
        runs = two_runs(whole_run(options), folder)
        runs['slow'] = slow_run(whole_run(options), folder)
        (folder / f'runs{rank}.json').write_text(json.dumps(runs))
