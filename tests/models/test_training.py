"""pyiqa's own trainer, unmodified, drives the model: the pitfalls it has for others are none here."""

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
from pyiqa.data import build_dataset
from scipy.stats import spearmanr
from torch.utils.data import DataLoader
from training.pictures import batch, build, make_table, options, plain, set_option, short

from pyiqa_moeagiqa.checkpoints import read, read_header
from pyiqa_moeagiqa.checkpoints.complete import complete
from pyiqa_moeagiqa.options import OptionError


@pytest.fixture(scope='module')
def table(tmp_path_factory) -> Path:
    return make_table(tmp_path_factory.mktemp('data'))


@pytest.fixture
def opt(table, tiny_checkpoint):
    return options(table, tiny_checkpoint)


def validation_of(model) -> DataLoader:
    return DataLoader(build_dataset(model.opt['datasets']['val']), batch_size=1)


@pytest.fixture(scope='module')
def finished(table, tiny_checkpoint, tmp_path_factory):
    """One whole run as a user starts it, in a process of its own, and its log."""
    folder = tmp_path_factory.mktemp('run')
    opt = short(options(table, tiny_checkpoint), total_epoch=3)
    opt['datasets']['train']['batch_size_per_gpu'] = 5
    opt['logger']['save_checkpoint_freq'] = 3
    opt['val'] |= {'val_freq': 3, 'save_img': False}
    (folder / 'options.yml').write_text(yaml.safe_dump(opt))
    code = 'import sys, pyiqa.train; pyiqa.train.train_pipeline(sys.argv.pop(1))'
    command = [sys.executable, '-c', code, folder, '-opt', folder / 'options.yml']
    subprocess.run(command, check=True, capture_output=True)
    run = folder / 'experiments' / opt['name']
    return run, next(run.glob('train_bright_*.log')).read_text()


def test_three_epochs_are_three(finished):
    _, log = finished
    # 12 images in batches of 5: three iterations an epoch, the last one filled up
    assert 'epochs: 3; iters: 9' in log
    steps = [line for line in log.splitlines() if '][epoch:' in line]
    assert [int(line.split('][epoch:')[1].split(',')[0]) for line in steps] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_the_rate_falls_over_the_whole_run_and_never_is_zero(opt, tmp_path):
    (trained, data), rates = build(plain(opt, scheduler={'type': 'CosineAnnealingLR'}, total_iter=9), tmp_path), []
    for iteration in range(1, 10):
        trained.feed_data(batch(data, range(4)))
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
    (trained, data), losses = build(plain(opt), tmp_path), []
    trained.feed_data(batch(data, range(8)))
    for iteration in range(1, 41):
        trained.optimize_parameters(iteration)
        losses.append(trained.get_current_log()['l_quality'])
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_resume_brings_back_weights_optimizer_schedule_and_best(opt, tmp_path):
    opt = plain(opt, scheduler={'type': 'CosineAnnealingLR'}, total_iter=9)
    one, data = build(opt, tmp_path)
    (tmp_path / 'training_states').mkdir()
    for iteration in (1, 2):
        one.feed_data(batch(data, range(4)))
        one.optimize_parameters(iteration)
    one.validation(validation_of(one), 2, None, False)
    one.best_metric_results['bright_val']['srcc']['val'] = 2.0  # better than anything to come
    one.save(epoch=0, current_iter=2)
    # as the trainer reads it: nothing but tensors and plain values
    state = torch.load(tmp_path / 'training_states' / '2.state', weights_only=True)
    two, _ = build(opt, tmp_path)
    two.resume_training(state)
    for each in (one, two):
        each.feed_data(batch(data, range(4)))
        each.optimize_parameters(3)
    for name, tensor in one.network.state_dict().items():
        assert tensor.equal(two.network.state_dict()[name]), name
    assert one.get_current_learning_rate() == two.get_current_learning_rate()
    (tmp_path / 'models' / 'net_best.safetensors').unlink()
    two.validation(validation_of(two), 3, None, False)
    assert not (tmp_path / 'models' / 'net_best.safetensors').exists()


def test_a_state_without_weights_is_refused(opt, tmp_path):
    with pytest.raises(OptionError, match='resume_state'):
        build(opt, tmp_path)[0].resume_training({'optimizers': [], 'schedulers': []})


def train(opt: dict, folder: Path, monkeypatch) -> None:
    """Run ``pyiqa/train.py -opt FILE`` in ``folder``."""
    (folder / 'options.yml').write_text(yaml.safe_dump(opt))
    monkeypatch.setattr(sys, 'argv', ['train.py', '-opt', str(folder / 'options.yml')])
    pyiqa.train.train_pipeline(str(folder))


def test_an_unreadable_image_stops_the_run_and_is_named(tiny_checkpoint, tmp_path, monkeypatch):
    opt = options(make_table(tmp_path), tiny_checkpoint)
    broken = tmp_path / 'train3.png'
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(ValueError, match=r'train3\.png: the image is truncated'):
        train(opt, tmp_path, monkeypatch)


WRONG = {
    'unknown train key': ('train.mos_los_opt', {}, "did you mean 'mos_loss_opt'"),
    'unknown network key': ('network.expert', 4, "did you mean 'experts'"),
    'unknown data key': ('datasets.train.crop_sizes', 64, "did you mean 'crop_size'"),
    'no weights': ('network.weights', None, 'network section has no weights'),
    'weights under path': ('network.weights', {'pretrain': 'x'}, "Unknown network weights option 'pretrain'"),
    'no such checkpoint': ('network.weights.checkpoint', 'nowhere.safetensors', 'there is no such file'),
    'other crops': ('datasets.val.crop_size', 96, 'crop_size is 96, but the network has 64'),
    'other scales': ('datasets.val.crop_scales', [512], r'val option crop_scales is \[512\], but the network has \[\]'),
    'other view': ('datasets.train.whole_view', True, 'train option whole_view is True, but the network has False'),
    'batch above the set': ('datasets.train.batch_size_per_gpu', 13, '13, but .* has 12 training images'),
    'no loss': ('train.mos_loss_opt', None, 'mos_loss_opt is missing'),
    'cache of moving crops': ('train.cache_frozen', True, 'set random_crops and hflip of datasets.train to false'),
    'cache of mirrored views': ('train.cache_frozen', 'view', 'same: set hflip of datasets.train to false'),
    'cache of another name': ('train.cache_frozen', 'views', "cache_frozen is 'views'"),
    'several GPUs': ('num_gpu', 2, 'torchrun'),
}


@pytest.mark.parametrize('name', WRONG)
def test_a_wrong_option_is_named_before_training(opt, tmp_path, monkeypatch, name):
    path, value, words = WRONG[name]
    set_option(opt, path, value)
    with pytest.raises(ValueError, match=words) as error:
        train(opt, tmp_path, monkeypatch)
    assert '\n' not in str(error.value)


def test_a_batch_of_one_trains_and_validates(opt, tmp_path):
    trained, data = build(plain(opt, metric_loss_opt={'type': 'PLCCLoss'}), tmp_path)
    trained.feed_data(batch(data, [0]))
    trained.optimize_parameters(1)
    trained.validation(validation_of(trained), 1, None, False)
    assert np.isfinite(list(trained.metric_results.values())).all()
    assert np.isfinite(list(trained.get_current_log().values())).all()
