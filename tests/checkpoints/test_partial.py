"""Checkpoints of trained tensors alone: complete where the frozen ones are, and one sentence where they are not."""

import shutil

import pyiqa
import pytest
import torch
from safetensors.torch import load_file
from training.pictures import make_table, options, short

from pyiqa_moeagiqa.checkpoints import CheckpointError, read, save
from pyiqa_moeagiqa.checkpoints.partial import fingerprint
from pyiqa_moeagiqa.training.run import run

BEST = 'models/net_best.safetensors'


@pytest.fixture
def opt(tiny_checkpoint, tmp_path):
    """Options of a short run whose frozen tensors come from ``source.safetensors``."""
    (tmp_path / 'data').mkdir()
    source = shutil.copy(tiny_checkpoint, tmp_path / 'source.safetensors')
    return short(options(make_table(tmp_path / 'data'), source), total_epoch=1)


@pytest.fixture
def trained(opt, tmp_path):
    """The best network's file."""
    run(opt, tmp_path / 'run')
    return tmp_path / 'run' / BEST


def score(path, tmp_path):
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(path))
    return metric([tmp_path / 'data' / 'val3.png'], caption_list=['a picture 3'])


def test_it_holds_what_was_trained_and_scores_as_it_is(trained, tmp_path):
    held = load_file(trained)
    assert held
    assert not any(name.startswith(('visual.', 'semantic.text.')) for name in held)
    assert score(trained, tmp_path).isfinite().all()


def test_it_is_found_from_any_folder(trained, tmp_path, monkeypatch):
    expected = score(trained, tmp_path)
    monkeypatch.chdir(tmp_path / 'data')
    assert score('../run/models/net_best.safetensors', tmp_path).equal(expected)


def change_source(folder):
    checkpoint = read(folder / 'source.safetensors')
    checkpoint.weights['visual.blocks.0.mlp.fc1.bias'] += 1e-3
    save(checkpoint, folder / 'source.safetensors')


def move_source(folder):
    (folder / 'source.safetensors').rename(folder / 'elsewhere.safetensors')


@pytest.mark.parametrize(
    ('spoil', 'words'), [(change_source, 'have changed since'), (move_source, 'cannot be had .*there is no such file')]
)
def test_without_the_frozen_tensors_it_is_refused(trained, tmp_path, spoil, words):
    spoil(tmp_path)
    with pytest.raises(CheckpointError, match=words) as error:
        score(trained, tmp_path)
    text = str(error.value)
    assert '\n' not in text
    assert str(trained) in text
    assert str(tmp_path / 'source.safetensors') in text
    assert 'save_whole: true' in text


def test_a_trained_tensor_of_the_source_may_change(trained, tmp_path):
    expected = score(trained, tmp_path)
    checkpoint = read(tmp_path / 'source.safetensors')
    checkpoint.weights['local_ffn.reduce.bias'] += 1
    save(checkpoint, tmp_path / 'source.safetensors')
    assert score(trained, tmp_path).equal(expected)


def test_a_whole_one_needs_nothing_else(opt, tmp_path):
    run(short(opt, total_epoch=1, save_whole=True), tmp_path / 'whole')
    expected = score(tmp_path / 'whole' / BEST, tmp_path)
    move_source(tmp_path)
    assert score(tmp_path / 'whole' / BEST, tmp_path).equal(expected)


def test_whole_and_partial_are_the_same_network(opt, trained, tmp_path):
    run(short(opt, total_epoch=1, save_whole=True), tmp_path / 'whole')
    assert score(trained, tmp_path).equal(score(tmp_path / 'whole' / BEST, tmp_path))


def test_another_run_can_start_from_it(opt, trained, tmp_path):
    network = {'type': 'MoEAGIQA', 'weights': {'checkpoint': str(trained)}}
    run(opt | {'network': network}, tmp_path / 'second')
    second = tmp_path / 'second' / BEST
    assert read(second).info['frozen']['weights'] == {'checkpoint': str(trained)}
    assert score(second, tmp_path).isfinite().all()
    assert not score(second, tmp_path).equal(score(trained, tmp_path))


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
