"""Validation that cannot tell networks apart is said before anything is trained."""

import os

import pandas as pd
import pytest
import yaml
from pictures import make_table, options, short

from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.training import command
from pyiqa_moeagiqa.training.run import run


@pytest.fixture
def opt(tiny_checkpoint, tmp_path):
    return short(options(make_table(tmp_path), tiny_checkpoint), total_epoch=1)


def change(opt, edit) -> None:
    path = opt['datasets']['train']['meta_info_file']
    table = pd.read_csv(path)
    edit(table).to_csv(path, index=False)


def two_images(table):
    return table.drop(table.index[table['split'] == 'val'][2:])


def same_mos(table):
    return table.assign(quality=table['quality'].where(table['split'] != 'val', 2.5))


@pytest.mark.parametrize(('edit', 'said'), [(two_images, 'has 2 images'), (same_mos, '7 images with the same MOS')])
def test_it_is_said_before_the_folder_is_made(opt, tmp_path, edit, said):
    change(opt, edit)
    with pytest.raises(OptionError) as refused:
        run(opt, tmp_path / 'run')
    text = str(refused.value)
    assert said in text
    assert 'bright_val' in text
    assert 'tell networks apart' in text
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('edit', [two_images, same_mos])
def test_an_error_can_decide(opt, tmp_path, edit):
    change(opt, edit)
    rmse = {'type': 'calculate_rmse', 'better': 'lower'}
    opt['val'] |= {'key_metric': 'rmse', 'metrics': opt['val']['metrics'] | {'rmse': rmse}}
    assert run(opt, tmp_path / 'run')['best_iteration']


@pytest.mark.parametrize('name', ['train.log', 'validation.csv', 'result.json', 'training_states/latest.pt'])
def test_a_pipe_in_the_place_of_a_file_is_said(opt, tmp_path, name):
    path = tmp_path / 'run' / name
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(OptionError, match='a pipe or a device') as refused:
        run(opt, tmp_path / 'run')
    assert str(path) in str(refused.value)


@pytest.mark.parametrize('text', ['', '{', '[1, 2]', '\0'])
def test_a_damaged_result_is_said(opt, tmp_path, text):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'run_options.yml').write_text(yaml.safe_dump(opt))
    (tmp_path / 'run' / 'result.json').write_text(text)
    with pytest.raises(OptionError, match=r'result\.json: damaged; remove it'):
        run(opt, tmp_path / 'run')


def test_a_folder_that_is_a_file_is_said_before_training(opt, tmp_path, monkeypatch):
    (tmp_path / 'taken').write_text('x')
    monkeypatch.setattr(command, 'read_options', lambda *_: opt)
    monkeypatch.setattr(command, 'run', lambda *_: pytest.fail('it trained'))
    with pytest.raises(OptionError, match='taken: a file, not a folder; name another --output'):
        command.train(tmp_path / 'o.yml', [], tmp_path / 'taken', [], [], False)
