"""Runs at the same time, each on a GPU of its own; the processor stands in for the GPUs."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from option_files import as_tiny, make_tables, read_options, tiny_weights

from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.training import on_gpus as on_gpus_module
from pyiqa_moeagiqa.training.on_gpus import names_of, on_gpus


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)


@pytest.fixture
def runs(tmp_path):
    """Two tiny runs by their folders."""
    options = as_tiny(read_options('v1_aigciqa2023.yml'), make_tables(tmp_path), tiny_weights(tmp_path), tmp_path)
    return {tmp_path / f'seed{seed}': options | {'manual_seed': seed} for seed in (1, 2)}


def test_as_many_runs_as_gpus_go_on_at_the_same_time_and_one_fails_alone(runs, two_gpus):
    first, second = runs
    table = runs[first]['datasets']['train']['meta_info_file']
    broken = Path(table).with_name('broken.csv')
    broken.write_text('path,prompt,quality\n')
    train = runs[first]['datasets']['train'] | {'meta_info_file': str(broken)}
    runs[first] = runs[first] | {'datasets': runs[first]['datasets'] | {'train': train}}
    started = []
    ends = on_gpus(runs, names_of(2), lambda folder: started.append(folder) is None)
    ended = dict([next(ends)])
    assert started == [first, second]  # both had begun when the first one ended
    ended |= dict(ends)
    assert ended[second] == ''
    assert yaml.safe_load((second / 'run_options.yml').read_text())['manual_seed'] == 2
    assert 'figures' in (second / 'result.json').read_text()
    assert str(broken) in ended[first]
    assert not ended[first].startswith('moeagiqa')


def test_no_run_starts_once_it_may_not(runs, two_gpus):
    asked = []
    assert list(on_gpus(runs, names_of(2), asked.append)) == []  # append returns None: no
    assert asked == list(runs)[:1]
    assert not any(folder.exists() for folder in runs)


def test_a_run_is_stopped_with_the_command(runs, two_gpus, monkeypatch):
    folder, options = list(runs.items())[1]
    options['train'] = options['train'] | {'total_iter': 1_000_000}

    def interrupt_once_it_trains(seconds):
        if (folder / 'validation.csv').exists():
            raise KeyboardInterrupt
        time.sleep(seconds)

    monkeypatch.setattr(on_gpus_module, 'time', SimpleNamespace(sleep=interrupt_once_it_trains))
    with pytest.raises(KeyboardInterrupt):
        list(on_gpus({folder: options}, ['0'], lambda _: True))
    before = (folder / 'validation.csv').read_text()
    time.sleep(1)
    assert (folder / 'validation.csv').read_text() == before


@pytest.mark.parametrize(('gpus', 'visible', 'names'), [(2, None, ['0', '1']), (1, '5,GPU-7', ['5'])])
def test_only_visible_gpus_are_used(gpus, visible, names, two_gpus, monkeypatch):
    if visible:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    assert names_of(gpus) == names


def test_more_gpus_than_there_are_and_torchrun_are_refused(two_gpus, monkeypatch):
    with pytest.raises(OptionError, match='--gpus is 3, but torch finds 2 GPUs'):
        names_of(3)
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('WORLD_SIZE', '2')
    with pytest.raises(OptionError, match='leave out either torchrun or --gpus'):
        names_of(2)
