"""A run that was stopped goes on to the very same bits; a finished one is not repeated, another one not overwritten."""

import json

import pytest
from pictures import make_table, options, same_weights, short

from pyiqa_moeagiqa.models.training_model import TrainingModel
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.training.run import run


@pytest.fixture(scope='module')
def opt(tiny_checkpoint, tmp_path_factory):
    return short(options(make_table(tmp_path_factory.mktemp('data')), tiny_checkpoint))


@pytest.fixture(scope='module')
def whole(opt, tmp_path_factory):
    """The folder of a run that nothing has stopped."""
    folder = tmp_path_factory.mktemp('whole')
    run(opt, folder)
    return folder


@pytest.fixture
def steps(monkeypatch):
    """The iterations that are trained; one of them can be made to raise instead."""
    done, step = [], TrainingModel.optimize_parameters
    done_or_raised = {'at': None}

    def watched(model, iteration):
        if iteration == done_or_raised['at']:
            raise KeyboardInterrupt
        step(model, iteration)
        done.append(iteration)

    monkeypatch.setattr(TrainingModel, 'optimize_parameters', watched)
    return done, done_or_raised


# before the first state; between a state, in the middle of an update, and the next; in another epoch, with workers
@pytest.mark.parametrize(('stop', 'goes_on_with', 'workers'), [(2, 1, 0), (6, 4, 0), (11, 10, 2)])
def test_a_stopped_run_goes_on_to_the_same_bits(opt, whole, tmp_path, steps, stop, goes_on_with, workers):
    datasets = {name: data | {'num_worker_per_gpu': workers} for name, data in opt['datasets'].items()}
    opt = opt | {'datasets': datasets}
    done, raised = steps
    raised['at'] = stop
    with pytest.raises(KeyboardInterrupt):
        run(opt, tmp_path)
    done.clear()
    raised['at'] = None
    run(opt, tmp_path)
    assert done == list(range(goes_on_with, 13))
    for file in ('models/net_best.safetensors', 'models/net_latest.safetensors'):
        assert same_weights(tmp_path / file, whole / file)
    for file in ('result.json', 'validation.csv'):
        assert (tmp_path / file).read_text() == (whole / file).read_text()


def test_a_finished_run_is_not_repeated(opt, whole, steps):
    answer = run(opt, whole)
    assert steps[0] == []
    assert answer == json.loads((whole / 'result.json').read_text())
    assert set(answer['figures']) == {'bright_val', 'bright_test'}


def test_another_run_in_the_same_folder_is_refused(opt, whole):
    before = (whole / 'run_options.yml').read_text()
    with pytest.raises(OptionError, match=r'a run with other options .* or add --fresh') as error:
        run(opt | {'manual_seed': 2}, whole)
    assert '\n' not in str(error.value)
    assert (whole / 'run_options.yml').read_text() == before


def test_fresh_starts_over_and_keeps_what_is_not_the_runs(opt, tmp_path, steps):
    opt = short(opt, total_epoch=1)
    run(opt, tmp_path)
    (tmp_path / 'notes.txt').write_text('mine')
    steps[0].clear()
    run(opt | {'manual_seed': 2}, tmp_path, fresh=True)
    assert steps[0] == [1, 2, 3]
    assert (tmp_path / 'notes.txt').read_text() == 'mine'
    assert 'manual_seed: 2' in (tmp_path / 'run_options.yml').read_text()
