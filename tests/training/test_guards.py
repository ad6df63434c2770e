"""What would give wrong figures or lose work stops a run before it begins, in one sentence."""

import pandas as pd
import pytest
from pictures import make_table, options, set_option, short
from safetensors.torch import load_file

from pyiqa_moeagiqa.checkpoints import Checkpoint, read, save
from pyiqa_moeagiqa.models.fill_in import fill_in
from pyiqa_moeagiqa.models.run_options import check_run
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.training.run import run
from pyiqa_moeagiqa.training.run_folder import RunFolder

BEST = 'models/net_best.safetensors'


@pytest.fixture
def opt(tiny_checkpoint, tmp_path):
    return short(options(make_table(tmp_path), tiny_checkpoint), total_epoch=1)


@pytest.fixture
def finished(opt, tmp_path):
    run(opt, tmp_path / 'run')
    return tmp_path / 'run'


def test_fresh_removes_nothing_unless_the_new_run_can_begin(opt, finished):
    before = load_file(finished / BEST)
    opt['datasets']['train']['meta_info_file'] = 'nowhere.csv'
    with pytest.raises(ValueError, match=r'nowhere\.csv: there is no such file'):
        run(opt, finished, fresh=True)
    assert load_file(finished / BEST).keys() == before.keys()


def test_a_run_does_not_write_over_the_weights_that_it_starts_from(opt, finished):
    opt['network'] = {'type': 'MoEAGIQA', 'weights': {'checkpoint': str(finished / BEST)}}
    with pytest.raises(OptionError, match='starts from a file in its own folder'):
        run(opt, finished, fresh=True)
    assert (finished / BEST).is_file()


def test_two_runs_do_not_share_a_folder(opt, tmp_path):
    with RunFolder(tmp_path / 'run').held(), pytest.raises(OptionError, match='another run is going on in it'):
        run(opt, tmp_path / 'run', fresh=True)
    assert list((tmp_path / 'run').iterdir()) == []
    run(opt, tmp_path / 'run')


@pytest.mark.parametrize('source', ['timm', 'imagereward', 'moeagiqa', 'hf://owner/name'])
def test_published_weights_are_in_no_folder(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RunFolder('.').require_no_weights({'weights': {'visual': source}})
    with pytest.raises(OptionError, match='starts from a file in its own folder'):
        RunFolder('.').require_no_weights({'weights': {'visual': 'mine.safetensors'}})


def test_files_that_are_not_a_runs_own_stay(opt, tmp_path):
    folder = tmp_path / 'project'
    (folder / 'models').mkdir(parents=True)
    (folder / 'options.yml').write_text('# mine')
    (folder / 'models' / 'mine.safetensors').write_bytes(b'mine')
    for fresh in (False, True):
        run(opt, folder, fresh=fresh)
    assert (folder / 'options.yml').read_text() == '# mine'
    assert (folder / 'models' / 'mine.safetensors').read_bytes() == b'mine'


def test_a_warm_up_as_long_as_the_run_is_warned_of(opt, tmp_path, caplog):
    run(opt, tmp_path / 'run')
    assert 'warmup is 4, but the whole run has 2 updates: the learning rate never reaches its full value' in caplog.text


@pytest.mark.parametrize('where', ['val', 'test'])
def test_images_on_both_sides_are_refused(opt, tmp_path, where):
    section = opt['datasets']['val'] if where == 'val' else opt['test']['bright_test']
    section['split'] = 'train'
    with pytest.raises(OptionError, match=r'12 of the 12 images of .* are in the training set, too'):
        run(opt, tmp_path / 'run')


def test_a_wrong_test_set_is_told_before_training(opt, tmp_path):
    opt['test']['bright_test']['split_column'] = 'spilt'
    with pytest.raises(ValueError, match="split column 'spilt' is missing"):
        run(opt, tmp_path / 'run')
    assert not (tmp_path / 'run' / 'models').exists()


def test_a_test_set_is_the_test_split_unless_said_otherwise(opt, tmp_path):
    opt['test'] = {'plain': {}, 'named': {'split': 'test'}}
    figures = run(opt, tmp_path / 'run')['figures']
    assert figures['plain'] == figures['named'] != figures['bright_val']


def cut(opt, folder, monkeypatch):
    """A run that stops in its third step, after a state."""
    from pyiqa_moeagiqa.models.training_model import TrainingModel

    step = TrainingModel.optimize_parameters

    def stop(model, iteration):
        if iteration == 3:
            raise KeyboardInterrupt
        step(model, iteration)

    opt['logger']['save_latest_freq'] = 2
    with monkeypatch.context() as patch:
        patch.setattr(TrainingModel, 'optimize_parameters', stop)
        with pytest.raises(KeyboardInterrupt):
            run(opt, folder)


def test_a_run_does_not_go_on_with_other_labels(opt, tmp_path, monkeypatch):
    cut(opt, tmp_path / 'run', monkeypatch)
    table = pd.read_csv(tmp_path / 'table.csv')
    table['quality'] = table['quality'].to_numpy()[::-1]
    table.to_csv(tmp_path / 'table.csv', index=False)
    with pytest.raises(OptionError, match='are not those that this run began with'):
        run(opt, tmp_path / 'run')


def test_a_run_does_not_go_on_with_other_frozen_weights(opt, tmp_path, monkeypatch, tiny_checkpoint):
    checkpoint = read(tiny_checkpoint)
    own = save(checkpoint, tmp_path / 'own.safetensors')
    opt['network'] = opt['network'] | {'weights': {'checkpoint': str(own)}}
    cut(opt, tmp_path / 'run', monkeypatch)
    weights = {
        name: tensor + 1 if name == 'visual.cls_token' else tensor for name, tensor in checkpoint.weights.items()
    }
    save(Checkpoint(checkpoint.config, weights, checkpoint.info), own)
    with pytest.raises(OptionError, match='are not those that this run began with'):
        run(opt, tmp_path / 'run')


@pytest.mark.parametrize('fresh', [False, True])
def test_a_folder_of_pictures_is_no_runs(opt, tmp_path, fresh):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'a.png').write_bytes(b'mine')
    with pytest.raises(
        OptionError, match=r'a\.png: the folder holds this, which is not of a run; name another --output'
    ):
        run(opt, tmp_path / 'mine', fresh=fresh)
    assert [file.name for file in (tmp_path / 'mine').iterdir()] == ['a.png']


def test_what_is_added_to_a_run_is_no_hindrance(opt, finished):
    (finished / 'notes.txt').write_text('mine')
    run(opt, finished, fresh=True)
    assert (finished / 'notes.txt').read_text() == 'mine'


WRONG = {
    'same names': ('datasets.val.name', 'bright', "name is 'bright', the name of datasets.train"),
    'two batch sizes': ('datasets.val.global_batch_size', 4, 'left out with batch_size_per_gpu'),
    'wandb alone': ('logger.wandb', {'project': 'p'}, 'use_tb_logger is False: it must be true with wandb'),
    'images in the log': ('logger.log_imgs_freq', 5, "Unknown logger option 'log_imgs_freq'"),
    'another data set type': ('datasets.train.type', 'PromtDataset', "type is 'PromtDataset': it must be"),
    'test as value': ('test.bright_test', 3, 'test option bright_test is 3: it must be a section'),
    'metric as value': ('val.metrics.srcc', 3, r'val\.metrics option srcc is 3: it must be a section'),
    'unknown metric': ('val.metrics.srcc.type', 'calculate_foo', "type is 'calculate_foo': it must be"),
    'error as quality': ('val.metrics.srcc.type', 'calculate_rmse', "option better is 'higher': it must be 'lower'"),
    'no model': ('model_type', None, 'model_type is missing'),
    'optimizer option': ('train.optim.foo', 1, r'train\.optim is \{.*\}: torch\.optim\.AdamW cannot be made from this'),
    'optimizer value': ('train.optim.betas', [0.9], r'torch\.optim\.AdamW cannot be made from this'),
    'schedule option': ('train.scheduler.foo', 1, r'CosineAnnealingLR cannot be made from this'),
}


def checked(opt):
    check_run(opt)
    return fill_in(opt)


@pytest.mark.parametrize('name', WRONG)
def test_a_wrong_option_is_named(opt, name):
    path, value, words = WRONG[name]
    set_option(opt, path, value)
    with pytest.raises(OptionError, match=words):
        checked(opt)


def test_other_targets_of_a_test_set_are_refused(opt, tmp_path):
    opt['test']['bright_test']['targets'] = ['alignment', 'quality']
    with pytest.raises(
        OptionError, match=r"test\.bright_test option targets is \['alignment', 'quality'\], but the network"
    ):
        run(opt, tmp_path / 'run')


def test_an_injection_needs_a_prior(opt, tmp_path):
    opt['train']['inject_from_zero'] = True
    with pytest.raises(OptionError, match='inject_from_zero is true: it needs a network with a prior'):
        run(opt, tmp_path / 'run')


def test_degraded_images_are_not_for_the_whole_network(opt, tmp_path):
    for data in opt['datasets'].values():
        data |= {'degrade': True, 'targets': ['quality']}
    opt['network']['targets'] = ['quality']
    with pytest.raises(ValueError, match='degrade is true: it is for a MoEAGIQAPriorModel'):
        run(opt, tmp_path / 'run')


@pytest.mark.parametrize('fresh', [False, True])
def test_files_of_somebody_elses_are_not_replaced(opt, tmp_path, fresh):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'predictions.csv').write_text('mine')
    with pytest.raises(OptionError, match=r'predictions\.csv: a run would replace this file'):
        run(opt, tmp_path / 'mine', fresh=fresh)
    assert (tmp_path / 'mine' / 'predictions.csv').read_text() == 'mine'
