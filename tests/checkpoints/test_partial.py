"""Checkpoints of trained tensors alone: complete where the frozen ones are, and one sentence where they are not."""

import shutil

import pyiqa
import pytest
import torch
from refusals import refuses
from safetensors.torch import load_file
from training.pictures import make_table, options, short

from pyiqa_moeagiqa.checkpoints import CheckpointError, read, save
from pyiqa_moeagiqa.checkpoints.partial import fingerprint
from pyiqa_moeagiqa.training.run import run

BEST = 'models/net_best.safetensors'


@pytest.fixture(scope='module')
def folder(tiny_checkpoint, tmp_path_factory):
    """A short run whose frozen tensors come from ``source.safetensors``."""
    folder = tmp_path_factory.mktemp('partial')
    (folder / 'data').mkdir()
    make_table(folder / 'data')
    shutil.copy(tiny_checkpoint, folder / 'source.safetensors')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MOEAGIQA_HOME', str(folder / 'home'))
        run(options_in(folder), folder / 'run')
    return folder


def options_in(folder):
    return short(options(folder / 'data' / 'table.csv', folder / 'source.safetensors'), total_epoch=1)


@pytest.fixture
def trained(folder, tiny_checkpoint, monkeypatch):
    """The best network's file."""
    monkeypatch.setenv('MOEAGIQA_HOME', str(folder / 'home'))
    yield folder / 'run' / BEST
    shutil.copy(tiny_checkpoint, folder / 'source.safetensors')


def score(path, folder):
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(path))
    return metric([folder / 'data' / 'val3.png'], caption_list=['a picture 3'])


def test_it_holds_what_was_trained_and_is_found_from_any_folder(trained, folder, monkeypatch):
    held = load_file(trained)
    assert held
    assert not any(name.startswith(('visual.', 'semantic.text.')) for name in held)
    expected = score(trained, folder)
    assert expected.isfinite().all()
    monkeypatch.chdir(folder / 'data')
    assert score('../run/models/net_best.safetensors', folder).equal(expected)


def change_source(folder):
    checkpoint = read(folder / 'source.safetensors')
    checkpoint.weights['visual.blocks.0.mlp.fc1.bias'] += 1e-3
    save(checkpoint, folder / 'source.safetensors')


def remove_source(folder):
    (folder / 'source.safetensors').unlink()


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [(change_source, 'have changed since'), (remove_source, 'there is no such file')],
)
def test_without_the_frozen_tensors_it_is_refused(trained, folder, spoil, words):
    spoil(folder)
    with refuses(CheckpointError, words, trained, folder / 'source.safetensors', 'save_whole: true'):
        score(trained, folder)


def test_a_trained_tensor_of_the_source_may_change(trained, folder):
    expected = score(trained, folder)
    checkpoint = read(folder / 'source.safetensors')
    checkpoint.weights['local_ffn.reduce.bias'] += 1
    save(checkpoint, folder / 'source.safetensors')
    assert score(trained, folder).equal(expected)


def test_a_whole_one_is_the_same_network_and_needs_nothing_else(trained, folder, tmp_path):
    run(short(options_in(folder), total_epoch=1, save_whole=True), tmp_path)
    expected = score(trained, folder)
    remove_source(folder)
    assert score(tmp_path / BEST, folder).equal(expected)


def test_another_run_can_start_from_it(trained, folder, tmp_path):
    network = {'type': 'MoEAGIQA', 'weights': {'checkpoint': str(trained)}}
    run(options_in(folder) | {'network': network}, tmp_path)
    assert read(tmp_path / BEST).info['frozen']['weights'] == {'checkpoint': str(trained)}
    second = score(tmp_path / BEST, folder)
    assert second.isfinite().all()
    assert not second.equal(score(trained, folder))


def test_a_fingerprint_tells_names_shapes_values_and_what_stands_beside_apart():
    one = {'a': torch.arange(6.0), 'b': torch.zeros(())}
    others = [
        {'a': torch.arange(6.0).view(2, 3), 'b': one['b']},
        {'a': one['a'], 'c': one['b']},
        {'a': one['a'], 'b': torch.tensor(1e-30)},
        {'a': one['a'].half(), 'b': one['b']},
    ]
    prints = {fingerprint(one), fingerprint(one, 'beside'), *map(fingerprint, others)}
    assert len(prints) == 6
    assert fingerprint(dict(reversed(one.items()))) == fingerprint(one)
