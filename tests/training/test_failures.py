"""What stops a run is said in one sentence and leaves the last state whole: the same command goes on to the same bits."""

import errno
import math
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from pictures import make_table, options, same_weights, short
from refusals import refuses

from pyiqa_moeagiqa.checkpoints import file, read
from pyiqa_moeagiqa.checkpoints.file import CheckpointError
from pyiqa_moeagiqa.checkpoints.find import home
from pyiqa_moeagiqa.images.read import ImageError
from pyiqa_moeagiqa.models import state_file
from pyiqa_moeagiqa.models.moeagiqa_model import MoEAGIQAModel
from pyiqa_moeagiqa.models.state_file import read_state
from pyiqa_moeagiqa.models.training_model import TrainingModel
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.training import run_folder
from pyiqa_moeagiqa.training.run import run

STATE, BEST, LATEST = 'training_states/latest.pt', 'models/net_best.safetensors', 'models/net_latest.safetensors'


@pytest.fixture(scope='module')
def opt(tiny_checkpoint, tmp_path_factory):
    return short(options(make_table(tmp_path_factory.mktemp('data')), tiny_checkpoint), total_epoch=3)


@pytest.fixture(scope='module')
def whole(opt, tmp_path_factory):
    folder = tmp_path_factory.mktemp('whole')
    run(opt, folder)
    return folder


def require_whole_files(folder: Path) -> None:
    """Whatever is there can be read, and no part of a file is."""
    assert not list(folder.rglob('*.part*'))
    for path in folder.rglob('*.safetensors'):
        assert read(path).weights
    for path in folder.rglob('latest.pt'):
        assert read_state(path)['iter'] > 0


def require_same_end(folder: Path, whole: Path) -> None:
    for name in (BEST, LATEST):
        assert same_weights(folder / name, whole / name)
    assert (folder / 'result.json').read_text() == (whole / 'result.json').read_text()


class FullDisk:
    """Each file can be written only at the second try: the first leaves half of it and finds no room for the rest."""

    def __init__(self, monkeypatch):
        self.tried, self.iteration = set(), 0
        step, save, save_file = TrainingModel.optimize_parameters, torch.save, file.save_file
        write_text = Path.write_text

        def noting_step(model, iteration):
            step(model, iteration)
            self.iteration = iteration

        def state(content, opened):
            self.may_fail(Path(opened.name), lambda: opened.write(b'half'))
            save(content, opened)

        def network(tensors, path, metadata=None):
            self.may_fail(path, lambda: path.write_bytes(b'half'))
            save_file(tensors, path, metadata)

        def text(path, content, encoding=None):
            self.may_fail(path, lambda: path.write_bytes(b'half'))
            write_text(path, content, encoding=encoding)

        monkeypatch.setattr(TrainingModel, 'optimize_parameters', noting_step)
        monkeypatch.setattr(state_file.torch, 'save', state)
        monkeypatch.setattr(file, 'save_file', network)
        monkeypatch.setattr(run_folder.Path, 'write_text', text)

    def may_fail(self, path: Path, write_half) -> None:
        key = (path.name.partition('.part')[0], self.iteration)
        if key not in self.tried:
            self.tried.add(key)
            write_half()
            raise OSError(errno.ENOSPC, 'No space left on device')


def test_a_disk_that_is_full_at_every_write_once(opt, whole, tmp_path, monkeypatch):
    disk, failures = FullDisk(monkeypatch), []
    while not (tmp_path / 'result.json').is_file():
        assert len(failures) < 40
        try:
            run(opt, tmp_path)
        except CheckpointError as error:
            failures.append(str(error))
            require_whole_files(tmp_path)
    assert all('not written' in words and 'No space left' in words and '\n' not in words for words in failures)
    notes = {path.name for path in (home() / 'frozen').iterdir()}  # where frozen parts are: a run goes on without
    named = {name for name, _ in disk.tried} - notes
    expected = {
        'run_options.yml',
        'validation.csv',
        'result.json',
        'predictions.csv',
        'splits.csv',
        *(Path(name).name for name in (STATE, BEST, LATEST)),
    }
    assert named == expected
    require_same_end(tmp_path, whole)


@pytest.fixture
def small_disk(whole, tmp_path):
    """A file system with less room than a run takes, and how to give it more."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    room = sum(path.stat().st_size for path in whole.rglob('*') if path.is_file())
    mount = shutil.which('mount') or 'mount'
    made = subprocess.run(
        [mount, '-t', 'tmpfs', '-o', f'size={room}', 'tmpfs', folder], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip('no file system can be mounted here: it takes the rights of root')
    yield folder, lambda: subprocess.run([mount, '-o', 'remount,size=64m', folder], check=True)
    subprocess.run(['umount', '--lazy', folder], check=True)  # the log in it is still open


def test_a_disk_that_is_really_full(opt, whole, small_disk):
    folder, make_room = small_disk
    with refuses(CheckpointError, str(folder), 'not written', 'make room there'):
        run(opt, folder)
    assert (folder / STATE).is_file()
    require_whole_files(folder)
    make_room()
    run(opt, folder)
    require_same_end(folder, whole)


@pytest.mark.parametrize('workers', [0, 2])
def test_an_image_that_becomes_unreadable_is_named(opt, whole, tmp_path, monkeypatch, workers):
    table = Path(opt['datasets']['train']['meta_info_file'])
    shutil.copytree(table.parent, tmp_path / 'data')
    changes = {'meta_info_file': str(tmp_path / 'data' / table.name), 'num_worker_per_gpu': workers}
    opt = opt | {'datasets': {name: data | changes for name, data in opt['datasets'].items()}}
    image, step = tmp_path / 'data' / 'train3.png', TrainingModel.optimize_parameters

    def breaking_step(model, iteration):
        step(model, iteration)
        if iteration == 6:  # the last one of the second epoch
            image.write_bytes(image.read_bytes()[:300])

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModel, 'optimize_parameters', breaking_step)
        with refuses(ImageError, str(image), 'truncated'):
            run(opt, tmp_path / 'run')
    assert read_state(tmp_path / 'run' / STATE)['iter'] == 6
    require_whole_files(tmp_path / 'run')
    shutil.copy(table.parent / 'train3.png', image)
    run(opt, tmp_path / 'run')
    require_same_end(tmp_path / 'run', whole)


def nan_loss(losses: dict, parameter) -> dict:
    return losses | {'l_quality': losses['l_quality'] * math.nan}


def nan_gradient(losses: dict, parameter) -> dict:
    return losses | {'l_quality': losses['l_quality'] + (0 * parameter).sum().sqrt()}


@pytest.mark.parametrize(('spoil', 'what'), [(nan_loss, 'loss'), (nan_gradient, 'norm of the gradient')])
def test_what_is_not_finite_is_named_with_iteration_and_images(opt, whole, tmp_path, monkeypatch, spoil, what):
    losses = MoEAGIQAModel.losses

    def spoilt(model):
        parameter = model.trained['local_ffn.reduce.bias']
        return spoil(losses(model), parameter) if model.iteration == 7 else losses(model)

    with monkeypatch.context() as patch:
        patch.setattr(MoEAGIQAModel, 'losses', spoilt)
        with refuses(FloatingPointError, f'The {what} is nan at iteration 8', '.png', 'lower the rate'):
            run(opt, tmp_path)
    assert read_state(tmp_path / STATE)['iter'] == 6
    require_whole_files(tmp_path)
    run(opt, tmp_path)
    require_same_end(tmp_path, whole)


def test_a_validation_without_a_number_is_said(opt, tmp_path, monkeypatch):
    monkeypatch.setattr('pyiqa_moeagiqa.models.validation.calculate_metric', lambda pair, options: math.nan)
    with refuses(OptionError, 'No validation of bright_val gave a number for srcc, plcc'):
        run(short(opt, total_epoch=1), tmp_path)
