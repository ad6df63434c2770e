"""``moeagiqa train``: one run or several, their table, and one sentence where it cannot be."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from command_line import refused, run
from pictures import make_table, options, short

from pyiqa_moeagiqa.models.run_options import check_run
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.training.command import variants


@pytest.fixture(scope='module')
def opt(tiny_checkpoint, tmp_path_factory):
    opt = short(options(make_table(tmp_path_factory.mktemp('data')), tiny_checkpoint), total_epoch=1)
    return opt | {'published': {'bright_test': {'srcc': 0.9}}}


@pytest.fixture
def command(opt, tmp_path):
    """How a command with these options begins."""
    (tmp_path / 'options.yml').write_text(yaml.safe_dump(opt))
    return 'train', tmp_path / 'options.yml', '--output', tmp_path / 'run'


def test_every_seed_is_run_with_every_split(opt):
    opt = opt | {'test': {'own': {'split': 'test'}, 'other': {'meta_info_file': 'other.csv'}}}
    found = variants(opt, ['1', '2'], ['prompt_1', 'image_0'])
    assert list(found) == ['seed1-prompt_1', 'seed1-image_0', 'seed2-prompt_1', 'seed2-image_0']
    one = found['seed2-prompt_1']
    assert one['manual_seed'] == 2
    assert {data['split_column'] for data in one['datasets'].values()} == {'prompt_1'}
    assert one['test']['own']['split_column'] == 'prompt_1'
    assert 'split_column' not in one['test']['other']  # another data set has splits of its own
    assert found['seed1-image_0']['datasets']['val']['split_column'] == 'image_0'


def test_seeds_or_splits_alone_or_neither(opt):
    assert list(variants(opt, ['3'], [])) == ['seed3']
    assert list(variants(opt, [], ['prompt_1'])) == ['prompt_1']
    (only,) = variants(opt, [], []).items()
    assert only == ('.', opt)


def test_a_kind_of_split_is_all_ten_of_it(opt):
    found = variants(opt, [], ['prompt', 'image_3'])
    assert list(found) == [*(f'prompt_{seed}' for seed in range(10)), 'image_3']
    assert found['prompt_7']['datasets']['train']['split_column'] == 'prompt_7'


def test_folds_are_splits(opt):
    found = variants(opt, [], ['image_3folds_seed7'])
    assert list(found) == [f'image_3folds_seed7_{fold}' for fold in range(3)]
    assert found['image_3folds_seed7_1']['datasets']['val']['split_column'] == 'image_3folds_seed7_1'


def test_folds_beside_other_splits_are_refused(command):
    said = refused(*command, '--folds', 3, '--splits', 'prompt_0')
    assert '--folds is 3 and --splits is prompt_0' in said


def test_each_image_is_tested_once_over_the_folds_and_the_result_says_how_the_best_was_chosen(command, opt, tmp_path):
    shown = run(*command, '--folds', 3, '--no-val').stdout
    assert 'chosen on the test split itself' in shown
    table = pd.read_csv(tmp_path / 'run' / 'results.csv')
    own = table[table['run'] != 'published']
    assert own['note'].str.contains('optimistic').all()
    assert {f'prompt_3folds_seed0_{fold}' for fold in range(3)} | {'mean', 'median', '95 % low'} < set(table['run'])
    images, tested = {str(path) for path in Path(opt['datasets']['train']['meta_info_file']).parent.glob('*.png')}, []
    for fold in range(3):
        splits = pd.read_csv(tmp_path / 'run' / f'prompt_3folds_seed0_{fold}' / 'splits.csv')
        parts = splits.groupby('data')['path'].agg(set)
        assert parts['bright'] | parts['bright_test'] == images
        assert not parts['bright'] & parts['bright_test']
        assert parts['bright_val'] == parts['bright_test']
        tested += parts['bright_test']
    assert sorted(tested) == sorted(images)


def test_a_result_of_a_validation_split_has_no_note(command, tmp_path):
    assert 'optimistic' not in run(*command).stdout
    assert 'note' not in pd.read_csv(tmp_path / 'run' / 'results.csv')


def test_a_seed_or_split_named_twice_is_refused(opt):
    with pytest.raises(OptionError, match=r"--seeds has '1,1': name each once"):
        variants(opt, ['1', '1'], [])
    with pytest.raises(OptionError, match=r"--splits has 'a,a': name each once"):
        variants(opt, [], ['a', 'a'])
    with pytest.raises(OptionError, match=r'--splits has .*image_3.*: name each once'):
        variants(opt, [], ['image', 'image_3'])


def test_two_seeds_end_in_one_table_beside_what_is_published(command, tmp_path):
    shown = run(*command, '--seeds', '1,2', '--splits', 'prompt_1').stdout
    table = pd.read_csv(tmp_path / 'run' / 'results.csv')
    assert {'seed1-prompt_1', 'seed2-prompt_1', 'mean', 'standard deviation', 'published'} < set(table['run'])
    assert (tmp_path / 'run' / 'seed2-prompt_1' / 'models' / 'net_best.safetensors').is_file()
    assert 'published' in shown
    assert '0.9000' in shown
    assert '…' not in shown  # names are folded, not cut


def test_a_single_run_has_its_name_in_the_table_and_few_images_are_said(command, tmp_path):
    shown = run(*command).stdout
    table = pd.read_csv(tmp_path / 'run' / 'results.csv')
    assert table['run'].tolist() == ['bright', 'bright', 'published']
    assert 'bright_val has 7 images: correlations over fewer than 10 say little.' in shown
    assert 'bright_test has 5 images: correlations over fewer than 10 say little.' in shown


def test_runs_do_not_go_beside_other_files(command, tmp_path):
    (tmp_path / 'run' / 'pictures').mkdir(parents=True)
    (tmp_path / 'run' / 'pictures' / 'a.png').write_bytes(b'mine')
    assert 'pictures: the folder holds this, which is not of a run' in refused(*command, '--seeds', '1,2')
    assert [file.name for file in (tmp_path / 'run').iterdir()] == ['pictures']


def test_several_gpus_without_launcher_are_refused_in_one_sentence(command, tmp_path):
    said = refused(*command, 'num_gpu=2')
    assert 'num_gpu is 2, but the run was started as one process' in said
    assert 'torchrun --nproc-per-node 2' in said
    assert not (tmp_path / 'run').exists()


def test_several_gpus_with_launcher_are_not(opt, monkeypatch):
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('WORLD_SIZE', '2')
    check_run(opt | {'num_gpu': 2})


@pytest.fixture
def other(tmp_path):
    """A table of other images, without splits, and with MOS that the training table could not have."""
    (tmp_path / 'others').mkdir()
    table = make_table(tmp_path / 'others')
    rated = pd.read_csv(table).drop(columns=['split', 'prompt_1'])
    rated.assign(quality=20 * rated['quality']).to_csv(tmp_path / 'others' / 'other.csv', index=False)
    return tmp_path / 'others' / 'other.csv'


def test_a_finished_run_is_measured_on_another_table_without_training(command, other, tmp_path):
    run(*command)
    before = (tmp_path / 'run' / 'models' / 'net_latest.safetensors').stat()
    run(*command, '--eval', other)
    table = pd.read_csv(tmp_path / 'run' / 'results.csv')
    assert table['data'].tolist() == ['bright_val', 'bright_test', 'other', 'bright_test']
    predictions = pd.read_csv(tmp_path / 'run' / 'predictions.csv')
    assert predictions.loc[predictions['data'] == 'other', 'quality'].max() > 90
    assert (predictions['data'] == 'other').sum() == 24
    run(*command)
    assert 'other' not in (tmp_path / 'run' / 'results.csv').read_text()
    assert (tmp_path / 'run' / 'models' / 'net_latest.safetensors').stat() == before
    (tmp_path / 'run' / 'training_states' / 'latest.pt').unlink()
    assert 'holds a run with other options' in refused(*command, '--eval', other)  # nothing to measure from


def test_another_table_with_images_of_the_training_set_is_refused(command, opt, tmp_path):
    table = Path(opt['datasets']['train']['meta_info_file'])
    copy = shutil.copy(table, table.with_name('copy.csv'))
    assert '12 of the 24 images of copy are in the training set, too' in refused(*command, '--eval', copy)
    assert 'the run has a data set of this name already' in refused(*command, '--eval', table)
    assert not (tmp_path / 'run' / 'models').exists()


def test_another_run_in_the_folder_is_refused_once_there_is_a_state_of_the_first(command):
    assert 'nowhere.csv: there is no such file' in refused(*command, 'datasets.train.meta_info_file=nowhere.csv')
    run(*command)
    assert 'it holds a run with other options' in refused(*command, 'manual_seed=9')
    run(*command, 'manual_seed=9', '--fresh')
