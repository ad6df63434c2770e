"""Which network is the best one, and what the checkpoints' headers say of their own weights."""

import pytest
from pictures import make_table, options, same_weights, short

from pyiqa_moeagiqa.checkpoints import read_header
from pyiqa_moeagiqa.models import training_model
from pyiqa_moeagiqa.training.run import run

# srcc and plcc of the networks of three iterations, as a validation might find them
FOUND = {5: (0.9, 0.1), 10: (0.5, 0.6), 12: (0.1, 0.2)}


@pytest.fixture
def opt(tiny_checkpoint, tmp_path):
    opt = short(options(make_table(tmp_path), tiny_checkpoint))
    opt['logger']['save_checkpoint_freq'] = 5
    return opt


@pytest.fixture
def scripted(monkeypatch):
    """Validations find what ``FOUND`` says."""
    validate = training_model.validate

    def found(model, loader):
        result = validate(model, loader)
        result.figures.update(zip(('srcc', 'plcc'), FOUND[model.iteration], strict=True))
        return result

    monkeypatch.setattr(training_model, 'validate', found)


@pytest.mark.parametrize(('key', 'best'), [('srcc', 5), ('plcc', 10), (None, 10)])
def test_the_key_metric_chooses_and_without_one_any_metric_that_gets_better(opt, scripted, tmp_path, key, best):
    run(opt | {'val': opt['val'] | {'key_metric': key}}, tmp_path / 'run')
    models = tmp_path / 'run' / 'models'
    assert same_weights(models / 'net_best.safetensors', models / f'net_{best}.safetensors')
    assert f'"best_iteration": {best},' in (tmp_path / 'run' / 'result.json').read_text()


def test_a_header_has_the_figures_of_its_own_weights_or_none(opt, tmp_path):
    opt['logger']['save_checkpoint_freq'] = 4
    run(opt, tmp_path / 'run')
    models = tmp_path / 'run' / 'models'
    figures = {path.stem: read_header(path)[1]['figures'] for path in models.glob('*.safetensors')}
    assert figures['net_4'] == figures['net_8'] == {}  # validations are at 5, 10 and 12
    assert -1 <= figures['net_12']['bright_val']['srcc'] <= 1
    assert figures['net_latest'] == figures['net_12']
    assert set(figures['net_best']) == {'bright_val'}
