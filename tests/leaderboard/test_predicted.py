"""``moeagiqa leaderboard`` with the scores that a training run left."""

from pathlib import Path

import pandas as pd
import pytest
from command_line import run
from training.pictures import make_table, options, short

from pyiqa_moeagiqa.scoring import by_content
from pyiqa_moeagiqa.training.run import run as train


@pytest.fixture(scope='module')
def trained(tiny_checkpoint, tmp_path_factory):
    """A run's folder with its table, which two test sets of the same rows share, and the run's figures."""
    folder = tmp_path_factory.mktemp('trained')
    opt = short(options(make_table(folder), tiny_checkpoint), total_epoch=1)
    opt['test']['again'] = {'split': 'test'}
    return folder, train(opt, folder / 'run')['figures']


@pytest.fixture
def board(trained, tmp_path, monkeypatch):
    """The leaderboard's rows for a file of predictions and other arguments; nothing is scored."""

    def no_scoring(*args):
        raise AssertionError('scored again')

    monkeypatch.setattr(by_content, 'score_items', no_scoring)

    def call(predictions: pd.DataFrame | Path, *arguments, data=trained[0] / 'table.csv', code=0):
        file = predictions
        if isinstance(predictions, pd.DataFrame):
            file = tmp_path / 'predictions.csv'
            predictions.to_csv(file, index=False)
        output = tmp_path / 'board'
        entry = f'mine=predictions:{file}'
        run('leaderboard', '--metrics', entry, '--data', data, '--output', output, *arguments, code=code)
        return pd.read_csv(output / 'leaderboard.csv', keep_default_na=False).set_index('target')

    return call


@pytest.fixture
def predictions(trained):
    return pd.read_csv(trained[0] / 'run' / 'predictions.csv')


def test_figures_are_those_of_the_run(trained, board, tmp_path):
    folder, figures = trained
    file = folder / 'run' / 'predictions.csv'
    rows = board(file, '--split', 'split=test', '--target', 'quality,alignment')
    for target, before in (('quality', ''), ('alignment', 'alignment_')):
        for name in ('srcc', 'plcc'):
            assert float(rows.loc[target, name]) == pytest.approx(figures['bright_test'][f'{before}{name}'], abs=1e-5)
        assert rows.loc[target, 'how'] == f'scores of bright_test in {file}'
    scores = pd.read_csv(tmp_path / 'board' / 'scores.csv')
    assert {'mine quality', 'mine alignment'} < set(scores)


def test_a_picture_by_another_path_is_the_same_picture(trained, board, predictions, tmp_path, monkeypatch):
    (tmp_path / 'link').symlink_to(trained[0])
    predictions['path'] = [f'link/{Path(path).name}' for path in predictions['path']]
    monkeypatch.chdir(tmp_path)
    assert board(predictions, '--split', 'split=val').loc['quality', 'reason'] == ''


def test_a_table_with_other_rows_is_told_how_many_lack_a_score(trained, board, predictions):
    reason = board(predictions, code=1).loc['quality', 'reason']
    assert reason.startswith('12 of 24 images have no score; the first is ')
    assert 'train0.png' in reason
    assert '--split takes some of the rows' in reason


def test_a_target_that_was_not_trained(board, predictions):
    alone = predictions.drop(columns=['alignment', 'score_alignment'])
    row = board(alone, '--split', 'split=test', '--target', 'quality,alignment', code=1).loc['alignment']
    assert row['reason'] == "target is 'alignment': this checkpoint scores quality."


WRONG = {
    'other MOS': ({'quality': 0.0}, 'has quality 0 there, and 0.5 in the table; name the table of the run'),
    'another prompt': ({'prompt': 'a dog'}, "has the prompt 'a dog' there, and 'a picture "),
    'no number': ({'score': 'high'}, "column 'score' holds no number in rows 2 ('high')"),
    'two scores': ({'path': 'same.png'}, "an image has several scores in rows 2 ('same.png')"),
}


@pytest.mark.parametrize('name', WRONG)
def test_a_file_that_does_not_fit_is_a_row_with_one_sentence(board, predictions, name):
    cells, words = WRONG[name]
    predictions['score'] += predictions.index
    predictions = predictions.drop_duplicates('path').assign(**cells)
    assert words in board(predictions, '--split', 'split=test', code=1).loc['quality', 'reason']


def test_another_table_is_no_file_of_predictions(board, trained):
    reason = board(trained[0] / 'table.csv', '--split', 'split=test', code=1).loc['quality', 'reason']
    assert "column 'data' is missing" in reason
