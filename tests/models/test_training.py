"""pyiqa's own trainer, unmodified, drives the model: the pitfalls it has for others are none here."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyiqa
import pyiqa.train
import pytest
import torch
import yaml
from PIL import Image
from scipy.stats import spearmanr

from pyiqa_moeagiqa.checkpoints import read, read_header
from pyiqa_moeagiqa.checkpoints.complete import complete
from pyiqa_moeagiqa.checkpoints.file import CheckpointError
from pyiqa_moeagiqa.models.fill_in import fill_in
from pyiqa_moeagiqa.models.moeagiqa_model import MoEAGIQAModel
from pyiqa_moeagiqa.options import OptionError

ROWS = {'train': 10, 'val': 6}


@pytest.fixture(scope='module')
def table(tmp_path_factory) -> Path:
    """A table of small pictures whose MOS is their brightness; one prompt is 'None'."""
    folder = tmp_path_factory.mktemp('data')
    generator, rows = np.random.default_rng(0), []
    for split, count in ROWS.items():
        for index in range(count):
            level = (index + 0.5) / count
            pixels = (255 * level * generator.uniform(0.8, 1, (70, 70, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f'{split}{index}.png')
            rows.append(
                [f'{split}{index}.png', f'a picture {index}' if index else 'None', 5 * level, 5 - 5 * level, split]
            )
    path = folder / 'table.csv'
    pd.DataFrame(rows, columns=['path', 'prompt', 'quality', 'alignment', 'split']).to_csv(path, index=False)
    return path


def options(table: Path, checkpoint: Path) -> dict:
    data = {
        'type': 'PromptNRDataset',
        'meta_info_file': str(table),
        'mos_range': [0, 5],
        'num_worker_per_gpu': 0,
    }
    return {
        'name': 'run',
        'model_type': 'MoEAGIQAModel',
        'num_gpu': 0,
        'manual_seed': 1,
        'datasets': {
            'train': data | {'name': 'bright', 'crops': 2, 'batch_size_per_gpu': 4},
            'val': data | {'name': 'bright_val', 'crops': 2, 'batch_size_per_gpu': 1},
        },
        'network': {'type': 'MoEAGIQA', 'weights': {'checkpoint': str(checkpoint)}},
        'path': {'resume_state': None},
        'train': {
            'optim': {'type': 'AdamW', 'lr': 1.0e-3, 'weight_decay': 1.0e-5},
            'scheduler': {'type': 'CosineAnnealingLR'},
            'total_epoch': 3,
            'mos_loss_opt': {'type': 'L1Loss'},
        },
        'val': {
            'val_freq': 3,
            'save_img': False,
            'key_metric': 'srcc',
            'metrics': {'srcc': {'type': 'calculate_srcc'}, 'plcc': {'type': 'calculate_plcc'}},
        },
        'logger': {'print_freq': 1, 'save_latest_freq': 3, 'save_checkpoint_freq': 3, 'use_tb_logger': False},
    }


@pytest.fixture
def opt(table, tiny_checkpoint):
    return options(table, tiny_checkpoint)


def train(opt: dict, folder: Path, monkeypatch) -> Path:
    """Run ``pyiqa/train.py -opt FILE`` in ``folder``; returns the folder of the run."""
    path = folder / 'options.yml'
    path.write_text(yaml.safe_dump(opt))
    monkeypatch.setattr(sys, 'argv', ['train.py', '-opt', str(path)])
    random.seed(0)
    pyiqa.train.train_pipeline(str(folder))
    return folder / 'experiments' / opt['name']


def model(opt: dict, folder: Path, total_iter: int = 9) -> MoEAGIQAModel:
    """The model as the trainer builds it."""
    opt['train'].setdefault('total_iter', total_iter)
    paths = {name: str(folder / name) for name in ('models', 'training_states')}
    for path in paths.values():
        Path(path).mkdir(exist_ok=True)
    for phase, data in opt['datasets'].items():
        data['phase'] = phase
    opt['datasets'] = fill_in(opt)['datasets']
    return MoEAGIQAModel(opt | {'dist': False, 'rank': 0, 'world_size': 1, 'is_train': True, 'path': paths})


def batch(opt: dict, phase: str = 'train', size: int = 4) -> dict:
    dataset = pyiqa.data.build_dataset(fill_in(opt)['datasets'][phase] | {'phase': phase})
    return torch.utils.data.default_collate([dataset[index] for index in range(size)])


def loaders(opt: dict):
    dataset = pyiqa.data.build_dataset(fill_in(opt)['datasets']['val'] | {'phase': 'val'})
    return torch.utils.data.DataLoader(dataset, batch_size=1)


@pytest.fixture(scope='module')
def finished(table, tiny_checkpoint, tmp_path_factory):
    """One whole run as a user starts it, in a process of its own, and its log."""
    folder = tmp_path_factory.mktemp('run')
    file = folder / 'options.yml'
    file.write_text(yaml.safe_dump(options(table, tiny_checkpoint)))
    code = 'import sys, pyiqa.train; pyiqa.train.train_pipeline(sys.argv.pop(1))'
    subprocess.run([sys.executable, '-c', code, str(folder), '-opt', str(file)], check=True, capture_output=True)
    run = folder / 'experiments' / 'run'
    return run, next(run.glob('train_run_*.log')).read_text()


def test_three_epochs_are_three(finished):
    _, log = finished
    # 10 images in batches of 4: three iterations an epoch, the last one filled up
    assert 'epochs: 3; iters: 9' in log
    steps = [line for line in log.splitlines() if '][epoch:' in line]
    assert [int(line.split('][epoch:')[1].split(',')[0]) for line in steps] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_the_rate_falls_over_the_whole_run_and_never_is_zero(opt, tmp_path):
    trained, rates, data = model(opt, tmp_path), [], batch(opt)
    for iteration in range(1, 10):
        trained.feed_data(data)
        trained.optimize_parameters(iteration)
        rates.append(trained.get_current_learning_rate()[0])
        trained.update_learning_rate(iteration)
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 1e-3
    assert 0 < rates[-1] < 1e-4


def test_the_best_checkpoint_is_scored_to_the_trainers_figure(finished, table):
    run, log = finished
    best = float(log.split('# srcc:')[-1].split('Best:')[1].split('@')[0])
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(run / 'models' / 'net_best.safetensors'))
    rows = pd.read_csv(table, keep_default_na=False).query('split == "val"')
    scores = metric([table.parent / path for path in rows['path']], caption_list=list(rows['prompt']))
    assert spearmanr(scores[:, 0], rows['quality']).statistic == pytest.approx(best, abs=1e-4)


def test_checkpoints_say_what_they_are(finished):
    run, _ = finished
    names = {path.name for path in (run / 'models').iterdir()}
    assert names >= {'net_best.safetensors', 'net_latest.safetensors', 'net_9.safetensors'}
    config, info = read_header(run / 'models' / 'net_best.safetensors')
    assert config.targets == ('quality', 'alignment')
    assert (info['dataset'], info['mos_range']) == ('bright', [0, 5])
    assert -1 <= info['figures']['bright_val']['srcc'] <= 1


def test_frozen_parts_are_what_they_were(finished, tiny_checkpoint):
    latest = read(finished[0] / 'models' / 'net_latest.safetensors')
    before, after = read(tiny_checkpoint).weights, latest.weights
    assert not any(name.startswith(('visual.', 'semantic.text.')) for name in after)
    assert not before['local_ffn.reduce.weight'].equal(after['local_ffn.reduce.weight'])
    whole = complete(latest).weights
    assert set(whole) == set(before)
    assert all(before[name].equal(whole[name]) for name in before if name not in after)


def test_the_loss_goes_down(opt, tmp_path):
    trained, losses = model(opt, tmp_path, total_iter=60), []
    trained.feed_data(batch(opt, size=8))
    for iteration in range(1, 41):
        trained.optimize_parameters(iteration)
        losses.append(trained.get_current_log()['l_quality'])
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_resume_brings_back_weights_optimizer_schedule_and_best(opt, tmp_path):
    one = model(opt, tmp_path)
    data = batch(opt)
    for iteration in (1, 2):
        one.feed_data(data)
        one.optimize_parameters(iteration)
    one.validation(loaders(opt), 2, None, False)
    one.best_metric_results['bright_val']['srcc']['val'] = 2.0  # better than anything to come
    one.save(epoch=0, current_iter=2)
    # as the trainer reads it: nothing but tensors and plain values
    state = torch.load(tmp_path / 'training_states' / '2.state', weights_only=True)
    two = model(opt, tmp_path)
    two.resume_training(state)
    for each in (one, two):
        each.feed_data(data)
        each.optimize_parameters(3)
    for name, tensor in one.network.state_dict().items():
        assert tensor.equal(two.network.state_dict()[name]), name
    assert one.get_current_learning_rate() == two.get_current_learning_rate()
    (tmp_path / 'models' / 'net_best.safetensors').unlink()
    two.validation(loaders(opt), 3, None, False)
    assert not (tmp_path / 'models' / 'net_best.safetensors').exists()


def test_a_state_without_weights_is_refused(opt, tmp_path):
    with pytest.raises(OptionError, match='resume_state'):
        model(opt, tmp_path).resume_training({'optimizers': [], 'schedulers': []})


def test_cached_features_give_the_same_training(opt, tmp_path):
    opt['network']['frozen_share'] = 1.0
    opt['datasets']['train']['random_crops'] = False
    plain = model(opt, tmp_path)
    opt['train']['cache_frozen'] = True
    cached = model(opt, tmp_path)
    data = batch(opt)
    for each in (plain, cached):
        torch.manual_seed(0)
        for iteration in (1, 2):
            each.feed_data(data)
            each.optimize_parameters(iteration)
    for name, tensor in plain.network.state_dict().items():
        torch.testing.assert_close(cached.network.state_dict()[name], tensor, atol=5e-3, rtol=0, msg=name)


def test_the_contrast_between_prompts_is_learnt(opt, tmp_path):
    opt['train']['matching_weight'] = 0.1
    trained = model(opt, tmp_path)
    trained.feed_data(batch(opt))
    trained.optimize_parameters(1)
    assert trained.get_current_log()['l_matching'] > 0


def test_a_loss_that_is_not_finite_stops_the_run(opt, tmp_path):
    trained = model(opt, tmp_path)
    data = batch(opt)
    data['mos_label'][0] = float('nan')
    trained.feed_data(data)
    with pytest.raises(FloatingPointError, match='The loss is nan at iteration 1'):
        trained.optimize_parameters(1)


def test_an_unreadable_image_stops_the_run_and_is_named(opt, table, tmp_path, monkeypatch):
    shutil.copytree(table.parent, tmp_path / 'data')
    broken = tmp_path / 'data' / 'train3.png'
    broken.write_bytes(broken.read_bytes()[:200])
    for data in opt['datasets'].values():
        data['meta_info_file'] = str(tmp_path / 'data' / 'table.csv')
    with pytest.raises(ValueError, match=r'train3\.png: the image is truncated'):
        train(opt, tmp_path, monkeypatch)


def change(opt: dict, path: str, value) -> None:
    *sections, name = path.split('.')
    for section in sections:
        opt = opt[section]
    if value is None:
        opt.pop(name)
    else:
        opt[name] = value


WRONG = {
    'rate as text': ('train.optim.lr', '1e-5', 'in YAML 1.0e-5'),
    'unknown train key': ('train.mos_los_opt', {}, "did you mean 'mos_loss_opt'"),
    'unknown network key': ('network.expert', 4, "did you mean 'experts'"),
    'unknown data key': ('datasets.train.crop_sizes', 64, "did you mean 'crop_size'"),
    'k above n': ('network.top_k', 9, r'top_k is 9: it must be from 1 to experts \(4\)'),
    'no weights': ('network.weights', None, 'no weights to start from'),
    'weights under path': ('network.weights', {'pretrain': 'x'}, "Unknown network weights option 'pretrain'"),
    'no such checkpoint': ('network.weights.checkpoint', 'nowhere.safetensors', 'there is no such file'),
    'other crops': ('datasets.val.crop_size', 96, 'crop_size is 96, but the network has 64'),
    'other scales': ('datasets.val.crop_scales', [512], r'val option crop_scales is \[512\], but the network has \[\]'),
    'other view': ('datasets.train.whole_view', True, 'train option whole_view is True, but the network has False'),
    'scales as text': ('datasets.train.crop_scales', '512', "crop_scales is '512': it must be a list"),
    'batch above the set': ('datasets.train.batch_size_per_gpu', 11, '11, but .* has 10 training images'),
    'no loss': ('train.mos_loss_opt', None, 'mos_loss_opt is missing'),
    'no such optimizer': ('train.optim.type', 'Adamw', "'Adamw': it must be a class of torch.optim"),
    'cache of moving crops': ('train.cache_frozen', True, 'pictures that stay the same'),
    'prefetching thread': ('datasets.train.prefetch_mode', 'cpu', 'would hang'),
    'several GPUs': ('num_gpu', 2, 'torchrun'),
}


@pytest.mark.parametrize('name', WRONG)
def test_a_wrong_option_is_named_before_training(opt, tmp_path, monkeypatch, name):
    path, value, words = WRONG[name]
    change(opt, path, value)
    with pytest.raises((OptionError, CheckpointError, ValueError), match=words) as error:
        train(opt, tmp_path, monkeypatch)
    assert '\n' not in str(error.value)


def test_a_batch_of_one_trains_and_validates(opt, tmp_path):
    opt['datasets']['train']['batch_size_per_gpu'] = 1
    opt['train']['metric_loss_opt'] = {'type': 'PLCCLoss'}
    trained = model(opt, tmp_path)
    trained.feed_data(batch(opt, size=1))
    trained.optimize_parameters(1)
    trained.validation(loaders(opt), 1, None, False)
    assert np.isfinite(list(trained.metric_results.values())).all()
    assert np.isfinite(list(trained.get_current_log().values())).all()
