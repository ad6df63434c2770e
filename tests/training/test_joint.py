"""One network for two data sets with different scales: figures, the best network, its header and its predictions."""

import pandas as pd
import pytest
from pictures import make_table, options, set_option, short
from scipy.stats import spearmanr

from pyiqa_moeagiqa.checkpoints import read_header
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric
from pyiqa_moeagiqa.models.training_model import TrainingModel
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.scoring.scale import scale_of
from pyiqa_moeagiqa.training.run import run

NAMES = ('one', 'other')


@pytest.fixture
def opt(tiny_checkpoint, tmp_path):
    """A run on two tables, of MOS to 5 and to 100."""
    files = []
    for name, factor in zip(NAMES, (1, 20), strict=True):
        (tmp_path / name).mkdir()
        rated = pd.read_csv(make_table(tmp_path / name))
        rated[['quality', 'alignment', 'quality_std', 'alignment_std']] *= factor
        rated.to_csv(tmp_path / name / f'{name}.csv', index=False)
        files.append(str(tmp_path / name / f'{name}.csv'))
    opt = short(options(files[0], tiny_checkpoint), total_epoch=1, fidelity_weight=1.0)
    for data in opt['datasets'].values():
        data |= {'meta_info_file': files, 'mos_range': [[0, 5], [0, 100]]}
        del data['name']
    return opt


def test_prompts_on_both_sides_of_a_split_by_prompt_are_said(opt, tmp_path, caplog, capfd):
    for number, file in enumerate(opt['datasets']['train']['meta_info_file']):
        table = pd.read_csv(file)
        table['prompt_0'] = table['split']
        table.loc[table['split'] != 'train', 'prompt'] = 'only tested'
        if number:  # the second table trains on what the first tests on
            table.loc[table['split'] == 'train', 'prompt'] = 'only tested'
        table.to_csv(file, index=False)
    for data in opt['datasets'].values():
        data['split_column'] = 'prompt_0'
    run(opt, tmp_path / 'run')
    assert (
        "one+other_val shares prompts with the training set (1, such as 'only tested')"
        in caplog.text + capfd.readouterr().err
    )


def test_a_batch_of_one_image_has_no_pairs(opt, tmp_path):
    opt['datasets']['train'].pop('batch_size_per_gpu', None)
    opt['datasets']['train']['global_batch_size'] = 1
    with pytest.raises(OptionError, match='compares the images of a batch, but a batch has 1: raise global_batch_size'):
        run(opt, tmp_path / 'run')


@pytest.fixture
def labels(monkeypatch):
    """The sets of the images of each training batch."""
    seen, step = [], TrainingModel.optimize_parameters

    def watched(model, iteration):
        seen.append(model.batch['set'].tolist())
        step(model, iteration)

    monkeypatch.setattr(TrainingModel, 'optimize_parameters', watched)
    return seen


def test_figures_predictions_and_header_name_each_set(opt, labels, tmp_path):
    figures = run(opt, tmp_path / 'run')['figures']
    assert len(labels) == 6
    assert any(set(batch) == {0, 1} for batch in labels)
    assert list(figures) == [
        'one+other_val', 'one+other_val/one', 'one+other_val/other', 'bright_test', 'bright_test/one', 'bright_test/other',
    ]  # fmt: skip
    found = pd.read_csv(tmp_path / 'run' / 'predictions.csv')
    assert found['data'].value_counts().to_dict() == {
        'one+other_val/one': 7, 'one+other_val/other': 7, 'bright_test/one': 5, 'bright_test/other': 5,
    }  # fmt: skip
    for data, part in found.groupby('data'):
        assert part['quality'].max() > 80 if data.endswith('other') else part['quality'].max() < 5
        assert figures[data]['srcc'] == pytest.approx(spearmanr(part['score'], part['quality'])[0], abs=1e-5)
    for data in ('one+other_val', 'bright_test'):
        for name in ('srcc', 'plcc', 'alignment_srcc'):
            mean = sum(figures[f'{data}/{table}'][name] for table in NAMES) / 2
            assert figures[data][name] == pytest.approx(mean)
    noted = pd.read_csv(tmp_path / 'run' / 'validation.csv')
    assert set(noted['data']) == {'one+other_val', 'one+other_val/one', 'one+other_val/other'}
    best = tmp_path / 'run' / 'models' / 'net_best.safetensors'
    _, info = read_header(best)
    assert (info['dataset'], info['mos_range']) == ('one + other', 'unknown')
    assert set(info['figures']) == set(noted['data'])
    assert set(scale_of(MoEAGIQAMetric(pretrained_model_path=str(best))).of(0.5).values()) == {None}


def test_scores_that_were_trained_on_pairs_alone_have_no_mos(opt, tmp_path):
    opt['train']['mos_loss_opt'] = {'type': 'L1Loss', 'loss_weight': 0.0}
    for data in opt['datasets'].values():
        data |= {'meta_info_file': data['meta_info_file'][0], 'mos_range': [0, 5]}
    run(opt, tmp_path / 'run')
    _, info = read_header(tmp_path / 'run' / 'models' / 'net_best.safetensors')
    assert (info['dataset'], info['mos_range']) == ('one', 'unknown')


def test_a_cut_run_goes_on_to_the_same_figures(opt, tmp_path, monkeypatch):
    whole = run(opt, tmp_path / 'whole')
    step = TrainingModel.optimize_parameters

    def stop(model, iteration):
        if iteration == 4:  # after a state
            raise KeyboardInterrupt
        step(model, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModel, 'optimize_parameters', stop)
        with pytest.raises(KeyboardInterrupt):
            run(opt, tmp_path / 'cut')
    assert run(opt, tmp_path / 'cut') == whole


def test_each_set_must_tell_networks_apart(opt, tmp_path):
    file = opt['datasets']['val']['meta_info_file'][1]
    rated = pd.read_csv(file)
    rated[~rated['path'].isin([f'val{row}.png' for row in range(5)])].to_csv(file, index=False)
    with pytest.raises(OptionError, match=r'one\+other_val/other has 2 images, too few for srcc'):
        run(opt, tmp_path / 'run')


def test_a_set_without_the_split_is_named(opt, tmp_path):
    set_option(opt, 'datasets.train.split_column', 'prompt_1')
    file = opt['datasets']['train']['meta_info_file'][1]
    pd.read_csv(file).drop(columns='prompt_1').to_csv(file, index=False)
    with pytest.raises(ValueError, match=r"other\.csv: split column 'prompt_1' is missing"):
        run(opt, tmp_path / 'run')
