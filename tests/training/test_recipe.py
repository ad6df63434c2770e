"""``moeagiqa recipe``: several networks on one's data in one command, with tiny encoders in place of the published ones."""

import shutil
from pathlib import Path

import pandas as pd
import pyiqa
import pytest
import yaml
from option_files import as_tiny, make_tables, read_options, tiny_weights
from typer.testing import CliRunner

from pyiqa_moeagiqa.checkpoints import read_header
from pyiqa_moeagiqa.cli import app
from pyiqa_moeagiqa.training import recipe
from pyiqa_moeagiqa.training.recipe import KEY, RECIPES


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    """A folder of tables and of the recipe's option files for tiny networks."""
    folder = tmp_path_factory.mktemp('tiny')
    tables, weights = make_tables(folder), tiny_weights(folder)
    (folder / 'options').mkdir()
    for name in RECIPES['strong']:
        options = as_tiny(read_options(name), tables, weights, folder)
        (folder / 'options' / name).write_text(yaml.safe_dump(options))
    return folder


@pytest.fixture
def command(tiny, tmp_path, monkeypatch):
    """The command with some arguments, in a folder of its own: its exit code and what it says."""
    shutil.copytree(tiny / 'options', tmp_path / 'options')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recipe, 'shared_folder', tmp_path.joinpath)

    def call(*arguments):
        answer = CliRunner().invoke(app, ['recipe', 'strong', *arguments], catch_exceptions=False)
        return answer.exit_code, answer.output

    return call


def test_the_best_network_scores_alone_and_nothing_is_trained_twice(command, tiny, tmp_path, monkeypatch):
    table = tiny / 'agiqa3k.csv'
    code, said = command('--data', str(table), '--eval', str(tiny / 'aigciqa2023.csv'))
    assert code == 0, said
    folder = Path('experiments/strong_agiqa3k')
    results = pd.read_csv(folder / 'results.csv').set_index(['data', 'run'])
    validation = results.loc['agiqa3k_val', KEY]
    assert sorted(validation.index) == sorted(Path(name).stem for name in RECIPES['strong'])
    assert results.loc[['agiqa3k_test', 'aigciqa2023'], KEY].notna().all()
    best = validation.idxmax()
    assert f'{best} is best on the validation split' in said

    logs = {path: path.stat().st_mtime_ns for path in folder.glob('*/train.log')}
    code, said = command('--data', str(table), '--eval', str(tiny / 'aigciqa2023.csv'))
    assert code == 0, said
    assert {path: path.stat().st_mtime_ns for path in folder.glob('*/train.log')} == logs

    monkeypatch.setattr(recipe, 'rank', lambda: 1)  # of several processes the first one alone writes
    before = (folder / 'results.csv').stat().st_mtime_ns
    assert command('--data', str(table), '--eval', str(tiny / 'aigciqa2023.csv')) == (0, '')
    assert (folder / 'results.csv').stat().st_mtime_ns == before

    alone = shutil.copy(folder / 'strong.safetensors', tmp_path / 'elsewhere.safetensors')
    monkeypatch.setenv('MOEAGIQA_HOME', str(tmp_path / 'empty'))
    rows = pd.read_csv(folder / best / 'predictions.csv')
    rows = rows[rows['data'] == 'agiqa3k_test']
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(alone))
    scores = metric([str(tiny / Path(path).name) for path in rows['path']], caption_list=list(rows['prompt']))
    assert scores.flatten().tolist() == pytest.approx(rows['score'].tolist(), abs=1e-5)
    assert read_header(Path(alone))[1]['run'] == f'{best.split("_agiqa")[0]}_agiqa3k'


def test_a_network_that_fails_costs_itself_alone(command, tiny):
    broken = Path('options/clip_l_agiqa3k.yml')
    options = yaml.safe_load(broken.read_text())
    options['train']['optim']['lr'] = 1e30  # the loss is no number soon
    options['train'] |= {'warmup': 0, 'amp': False}
    options['train'].pop('clip_grad_norm')
    broken.write_text(yaml.safe_dump(options))
    code, said = command('--data', str(tiny / 'agiqa3k.csv'))
    assert code == 1
    assert 'clip_l_agiqa3k failed: The' in said
    assert Path('experiments/strong_agiqa3k/strong.safetensors').is_file()


def test_a_table_with_mos_alone_trains_quality_on_a_fold(command, tiny, tmp_path):
    pictures = [path for path in sorted(tiny.glob('*.png')) if path.name.startswith(('agiqa3k', 'aigciqa2023'))]
    rows = [[path.name, f'prompt {number}', number] for number, path in enumerate(pictures)]
    # of twice as many prompts, a tenth is four
    for number, path in enumerate(pictures, len(pictures)):
        rows.append([shutil.copy(path, path.with_name(f'again{path.name}')).name, f'prompt {number}', number])
    pd.DataFrame(rows, columns=['image', 'prompt', 'mos']).to_csv(tiny / 'mine.csv', index=False)
    for name in RECIPES['strong'][1:]:
        (tmp_path / 'options' / name).write_text((tmp_path / 'options' / RECIPES['strong'][0]).read_text())
    code, said = command('--data', str(tiny / 'mine.csv'), '--output', 'here')
    assert code == 0, said
    config, info = read_header(Path('here/strong.safetensors'))
    assert (list(config.targets), info['split']) == (['quality'], 'prompt_5folds_seed0_0')


def test_if_all_networks_fail_each_says_why(command, tiny):
    (tiny / 'few.csv').write_text('path,prompt,mos\nagiqa3k0.png,a cat,1\nagiqa3k1.png,a dog,2\n')
    code, said = command('--data', str(tiny / 'few.csv'))
    assert code == 2
    assert said.count('needs at least 5 different prompts, and there are 2') == 3
    assert 'no network was trained' in said


def test_what_would_be_downloaded_is_said_without_a_hub(command, tiny, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'hub'))
    for name in RECIPES['strong']:
        options = yaml.safe_load(Path('options', name).read_text())
        options['network']['weights'] = {'visual': 'timm', 'semantic': 'hf://owner/siglip'}
        Path('options', name).write_text(yaml.safe_dump(options))
    code, said = command('--data', str(tiny / 'agiqa3k.csv'), '--dry-run')
    assert code == 0, said
    assert said.count('to download  hf://owner/siglip') == 1
    code, said = command('--data', str(tiny / 'agiqa3k.csv'))
    assert code == 2
    assert 'could not be downloaded' in said
    assert not list(Path('experiments').rglob('*.yml'))


def test_what_is_missing_or_of_no_use_is_said_before_anything_runs(command, tiny):
    code, said = command()
    assert code == 2
    assert 'datasets/agiqa3k.csv ("moeagiqa prepare agiqa3k --source FOLDER' in said
    (tiny / 'bare.csv').write_text('path,prompt\nagiqa3k0.png,a cat\n')
    code, said = command('--data', str(tiny / 'bare.csv'))
    assert code == 2
    assert f"{tiny / 'bare.csv'}: it has no column 'quality'" in said
    code, said = command('--data', str(tiny / 'agiqa3k.csv'), '--dry-run')
    assert code == 0, said
    assert said.count('to train  experiments/strong_agiqa3k/') == 3
    assert not Path('experiments').exists()


def test_a_column_that_a_table_lacks_is_said_before_anything_is_downloaded(command, tiny, tmp_path):
    pd.read_csv(tiny / 'agiqa3k.csv').drop(columns='prompt').to_csv(tmp_path / 'mine.csv', index=False)
    code, said = command('--data', 'mine.csv', '--dry-run')
    assert code == 2
    assert "mine.csv: column 'prompt' is missing" in said


def test_a_hub_that_does_not_answer_costs_one_sentence_and_a_plan_does_not_ask_it(command, tiny, monkeypatch):
    from huggingface_hub import constants

    for file in Path('options').iterdir():
        options = yaml.safe_load(file.read_text())
        options['network']['weights']['semantic'] = f'hf://owner/{file.stem}'
        file.write_text(yaml.safe_dump(options))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', 'hub')
    code, said = command('--data', str(tiny / 'agiqa3k.csv'), '--dry-run')
    assert code == 0, said
    assert [f'to download  hf://owner/{Path(name).stem}' in said for name in RECIPES['strong']] == [True] * 3
    assert not Path('experiments').exists()
    code, said = command('--data', str(tiny / 'agiqa3k.csv'))
    assert code == 2
    assert 'check the name and the connection' in said
    assert said.count('could not be fetched') == 1
