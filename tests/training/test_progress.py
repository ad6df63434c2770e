"""What a run says about itself: TensorBoard, the log, and the figures of each validation."""

import sys
import types

import pandas as pd
import pytest
from pictures import make_table, options, short
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pyiqa_moeagiqa.checkpoints import read, read_header, save
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.training.progress import note_figures
from pyiqa_moeagiqa.training.run import run

FIGURES = ('srcc', 'plcc', 'main_score')


@pytest.fixture(scope='module')
def finished(tiny_checkpoint, tmp_path_factory):
    """A run of twelve iterations, validated three times, whose last expert of quality is never chosen."""
    folder = tmp_path_factory.mktemp('run')
    checkpoint = read(tiny_checkpoint)
    checkpoint.weights['experts.quality.gate.bias'][3] = -50
    opt = options(make_table(folder), save(checkpoint, folder / 'one_dead.safetensors'))
    opt['logger'] |= {'use_tb_logger': True, 'print_freq': 2}
    opt['datasets']['val']['split'] = ['val', 'test']
    run(short(opt), folder / 'run')
    return folder / 'run'


@pytest.fixture(scope='module')
def events(finished):
    found = EventAccumulator(str(finished / 'tensorboard'), size_guidance={'images': 0, 'tensors': 0})
    return found.Reload()


def test_weights_and_biases_gets_the_run_before_tensorboard_writes(tiny_checkpoint, tmp_path, monkeypatch):
    calls = []
    wandb = types.ModuleType('wandb')
    wandb.util = types.SimpleNamespace(generate_id=lambda: 'id')
    wandb.init = lambda **given: calls.append((given, list(tmp_path.rglob('events.*'))))
    monkeypatch.setitem(sys.modules, 'wandb', wandb)
    opt = short(options(make_table(tmp_path), tiny_checkpoint), total_epoch=1)
    opt['logger'] |= {'use_tb_logger': True, 'wandb': {'project': 'mine', 'resume_id': None}}
    run(opt, tmp_path / 'run')
    (given, before), *more = calls
    assert (given['project'], given['name'], given['sync_tensorboard'], before, more) == (
        'mine',
        'bright',
        True,
        [],
        [],
    )
    monkeypatch.setitem(sys.modules, 'wandb', None)
    with pytest.raises(OptionError, match='pip install wandb'):
        run(opt, tmp_path / 'other')


def test_lengths_in_epochs_and_the_main_score(tiny_checkpoint, tmp_path):
    opt = short(options(make_table(tmp_path), tiny_checkpoint), total_epoch=2)
    opt['val'] = {'val_freq': 'epoch', 'metrics': {name: {'type': f'calculate_{name}'} for name in FIGURES}}
    opt['val']['key_metric'] = 'main_score'
    opt['logger']['save_checkpoint_freq'] = 'epoch'
    for data in opt['datasets'].values():
        del data['name']
    figures = run(opt, tmp_path / 'run')['figures']
    assert set(figures) == {'table_val', 'bright_test'}
    for one in figures.values():
        assert one['main_score'] == pytest.approx((one['srcc'] + one['plcc']) / 2)
    assert pd.read_csv(tmp_path / 'run' / 'validation.csv')['iteration'].tolist() == [3, 6]
    assert {path.name for path in (tmp_path / 'run' / 'models').glob('net_[36]*')} == {
        'net_3.safetensors',
        'net_6.safetensors',
    }
    assert read_header(tmp_path / 'run' / 'models' / 'net_best.safetensors')[1]['dataset'] == 'table'


def steps(events, name) -> list[int]:
    return [event.step for event in events.Scalars(name)]


def test_losses_and_rate(events):
    for name in ('losses/l_quality', 'losses/l_ranking_alignment', 'losses/l_matching', 'rate'):
        assert steps(events, name) == [2, 4, 6, 8, 10, 12]
    assert all(event.value > 0 for event in events.Scalars('losses/l_matching'))
    rates = [event.value for event in events.Scalars('rate')]
    assert rates[0] == pytest.approx(1e-5)  # a warm-up
    assert max(rates) == pytest.approx(1e-3)


def test_figures_of_each_validation(finished, events):
    table = pd.read_csv(finished / 'validation.csv')
    assert table['iteration'].tolist() == [5, 10, 12]
    for name in ('srcc', 'plcc', 'alignment_srcc', 'alignment_plcc'):
        shown = [event.value for event in events.Scalars(f'val_metrics/bright_val/{name}')]
        assert shown == pytest.approx(table[name].tolist(), abs=1e-6)


def test_weights_and_entropy_of_the_gate(events):
    for target in ('quality', 'alignment'):
        weights = [[e.value for e in events.Scalars(f'gate/bright_val/{target}/expert_{n}')] for n in range(4)]
        assert [sum(column) for column in zip(*weights, strict=True)] == pytest.approx([1, 1, 1], abs=1e-4)
        entropy = [event.value for event in events.Scalars(f'gate_entropy/bright_val/{target}')]
        assert all(0 < value < 1 for value in entropy)
    dead = [event.value for event in events.Scalars('gate/bright_val/quality/expert_3')]
    assert dead == pytest.approx([0, 0, 0], abs=1e-6)


def test_the_worst_images_are_shown_and_named(events):
    images = events.Images('worst/bright_val')
    assert [image.step for image in images] == [5, 10, 12]
    assert images[0].width > 4 * 224
    (text, *_) = events.Tensors('worst/bright_val/text_summary')
    lines = text.tensor_proto.string_val[0].decode().split('\n')
    assert len(lines) == 8
    errors = []
    for line in lines:
        path, _, figures = line.partition(': ')
        assert path.endswith('.png')
        score, mos = figures.split(', MOS ')
        errors.append(abs(float(score) - float(mos)))
    assert errors == sorted(errors, reverse=True)


def test_a_dead_expert_is_warned_of_once(finished):
    log = (finished / 'train.log').read_text()
    assert log.count('Expert 3 of quality is dead') == 1
    assert 'Expert 0 of quality is dead' not in log


def test_the_warning_of_figures_that_are_optimistic(finished):
    log = (finished / 'train.log').read_text()
    assert log.count('its figures are optimistic') == 1


def test_no_such_warning_where_nothing_is_chosen_by_the_test_split(tiny_checkpoint, tmp_path):
    opt = options(make_table(tmp_path), tiny_checkpoint)
    run(short(opt, total_epoch=1), tmp_path / 'run')
    assert 'optimistic' not in (tmp_path / 'run' / 'train.log').read_text()


def test_a_measurement_that_is_made_again_replaces_the_older(tmp_path):
    note_figures(tmp_path, 'val', 5, {'srcc': 0.1})
    note_figures(tmp_path, 'val', 10, {'srcc': 0.2})
    note_figures(tmp_path, 'val', 5, {'srcc': 0.3})
    table = pd.read_csv(tmp_path / 'validation.csv')
    assert dict(zip(table['iteration'], table['srcc'], strict=True)) == {10: 0.2, 5: 0.3}
