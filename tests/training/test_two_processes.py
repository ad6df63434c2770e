"""Two processes with two images each do what one process does with four."""

import json
import multiprocessing
import socket

import launched
import pandas as pd
import pytest
import torch
from pictures import make_table, options, same_weights

from pyiqa_moeagiqa.training.run import run

PROCESSES = 2


@pytest.fixture(scope='module')
def opt(tiny_checkpoint, tmp_path_factory):
    return options(make_table(tmp_path_factory.mktemp('data')), tiny_checkpoint)


@pytest.fixture(scope='module')
def two(opt, tmp_path_factory):
    """The folder in which two processes have left what ``launched.work`` does."""
    folder = tmp_path_factory.mktemp('two')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['pyiqa_moeagiqa.training.run', 'pyiqa.models.general_iqa_model'])
    started = [
        context.Process(target=launched.work, args=(rank, PROCESSES, port, opt, str(folder)))
        for rank in range(PROCESSES)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(240)
        process.kill()  # only one that hangs is still there
    assert [process.exitcode for process in started] == [0] * PROCESSES
    return folder


@pytest.fixture(scope='module', params=[1, 2], ids=['every batch', 'accumulated'])
def both(request, opt, two, tmp_path_factory):
    """What one process found with batches of four, and what two found with batches of two."""
    alone = launched.gradients(opt, tmp_path_factory.mktemp('alone'), 4, request.param)
    files = [two / f'gradients{rank}.pt' for rank in range(PROCESSES)]
    return alone, [torch.load(file, weights_only=False)[request.param] for file in files]


def test_the_gradient_is_that_of_the_whole_batch(both):
    alone, together = both
    for found in together:
        assert set(found['gradients']) == set(alone['gradients'])
        for name, gradient in alone['gradients'].items():
            torch.testing.assert_close(
                found['gradients'][name], gradient, atol=1e-5, rtol=1e-5, msg=name
            )  # order of sums
    assert max(gradient.abs().max() for gradient in alone['gradients'].values()) > 1e-3


def test_the_order_of_images_is_the_same(both):
    alone, (first, second) = both
    for place in range(0, 12, 4):
        half = slice(place // 2, place // 2 + 2)
        assert first['images'][half] + second['images'][half] == alone['images'][place : place + 4]
    assert len(set(alone['images'])) == 12


def test_validation_counts_each_of_seven_images_once(both):
    alone, together = both
    assert len(set(alone['paths'])) == 7
    for found in together:
        assert found['paths'] == alone['paths']
        assert found['figures'] == pytest.approx(alone['figures'], abs=1e-6)
        assert found['gate']['quality'] == pytest.approx(alone['gate']['quality'], abs=1e-6)


def test_a_whole_run_ends_where_one_process_does(opt, two, tmp_path):
    alone = run(launched.whole_run(opt), tmp_path)
    for file in ('models/net_best.safetensors', 'models/net_latest.safetensors'):
        assert same_weights(two / 'whole' / file, tmp_path / file, atol=1e-5)
    for rank in range(PROCESSES):
        figures = json.loads((two / f'runs{rank}.json').read_text())['figures']
        assert set(figures) == {'bright_val', 'bright_test'}
        assert figures['bright_val'] == pytest.approx(alone['figures']['bright_val'], abs=1e-4)


def test_predictions_have_the_images_of_all_processes_once(two):
    table = pd.read_csv(two / 'whole' / 'predictions.csv')
    assert table.groupby('data')['path'].nunique().to_dict() == {'bright_test': 5, 'bright_val': 7}
    assert len(table) == 12


def test_only_the_first_process_writes(two):
    first, second = (json.loads((two / f'runs{rank}.json').read_text())['written'] for rank in range(PROCESSES))
    assert first.count('latest.pt') == 4  # iterations 3, 6, 9 and 12
    assert first.count('net_latest.safetensors') == 1
    assert second == []


def test_a_slow_writer_is_waited_for(two):
    first, second = (json.loads((two / f'runs{rank}.json').read_text())['slow'] for rank in range(PROCESSES))
    assert first == second
    validated = pd.read_csv(two / 'slow' / 'validation.csv')
    assert first['bright_val']['srcc'] == pytest.approx(validated['srcc'].iloc[-1], abs=1e-6)


def test_a_run_stopped_within_an_update_goes_on_to_the_same_bits(two):
    for file in ('models/net_best.safetensors', 'models/net_latest.safetensors'):
        assert same_weights(two / 'cut' / file, two / 'whole' / file)


def test_nothing_half_written_is_left(two):
    assert list(two.rglob('*.part*')) == []
