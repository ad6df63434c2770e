"""``moeagiqa replicate``: a table of the paper in one command, with tiny networks in place of the paper's."""

import copy
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import yaml
from option_files import as_tiny, make_tables, read_options, tiny_weights
from PIL import Image
from typer.testing import CliRunner

from pyiqa_moeagiqa.checkpoints import CheckpointError
from pyiqa_moeagiqa.cli import app
from pyiqa_moeagiqa.models.training_model import TrainingModel
from pyiqa_moeagiqa.training import paper_tables, required
from pyiqa_moeagiqa.training.paper_tables import MAIN, OTHER_FILE, PRIOR, identity, rows_and_runs
from scripts.write_options import FOLDER, PUBLISHED, SAME_RUN

FILES = [
    PRIOR,
    *(OTHER_FILE.get(name, name) for name in MAIN),
    *(str(path.relative_to(FOLDER)) for path in sorted(FOLDER.glob('table*/*.yml'))),
]


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    """The option files of the paper's tables for tiny networks, which look for the prior where it is trained."""
    folder = tmp_path_factory.mktemp('tiny')
    tables, weights = make_tables(folder), tiny_weights(folder)
    made = {name: as_tiny(read_options(name), tables, weights, folder) for name in FILES}
    for options in made.values():
        options['train']['total_iter'] = 4
        if 'prior' in options['network']['weights']:
            options['network']['weights']['prior'] = read_options('moeagiqa.yml')['network']['weights']['prior']
    return folder, made


@pytest.fixture
def steps(monkeypatch):
    """Run and iteration of all steps; those in ``raised`` raise an error instead."""

    done, raised, step = [], {}, TrainingModel.optimize_parameters

    def watched(model, iteration):
        this = (model.opt['name'], iteration)
        if this in raised:
            raise raised[this]
        step(model, iteration)
        done.append(this)

    monkeypatch.setattr(TrainingModel, 'optimize_parameters', watched)
    return SimpleNamespace(done=done, raised=raised)


@pytest.fixture
def command(tiny, tmp_path, monkeypatch):
    """The command with some arguments, in a folder of its own: its exit code and what it says."""
    folder, made = tiny
    for name, options in made.items():
        path = tmp_path / 'options' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(options))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('COLUMNS', '80')
    monkeypatch.setattr(paper_tables, 'shared_folder', tmp_path.joinpath)

    def call(*arguments, data=folder):
        answer = CliRunner().invoke(app, ['replicate', *arguments, '--data', str(data)], catch_exceptions=False)
        return answer.exit_code, answer.output

    return call


@pytest.fixture
def prior(tiny, command):
    """The prior's checkpoint, where the option files look for it."""
    place = Path(tiny[1]['moeagiqa.yml']['network']['weights']['prior'])
    place.parent.mkdir(parents=True)
    shutil.copy(tiny[0] / 'prior.safetensors', place)


def written(table: str, ending: str) -> str:
    return Path(f'experiments/replicate/{table}/replicate.{ending}').read_text()


def report(table: str) -> pd.DataFrame:
    return pd.read_csv(f'experiments/replicate/{table}/replicate.csv').set_index('row')


def test_rows_that_are_one_run_share_it():
    for row, main in SAME_RUN.items():
        assert identity(read_options(row)) == identity(read_options(main))
    assert identity(read_options('v1_aigciqa2023.yml')) != identity(read_options('v2_aigciqa2023.yml'))


def test_a_table_that_is_cut_goes_on_and_nothing_is_trained_twice(command, steps):
    Path('options/table8/frozen_70.yml').unlink()  # three rows are enough
    steps.raised['table8_frozen_30', 3] = KeyboardInterrupt  # after a state
    code, said = command('table8')
    assert (code, 'the same command goes on' in said) == (130, True)
    assert report('table8')['runs'].tolist() == [1, 0, 0]
    assert report('table8')['srcc'].isna().tolist() == [False, True, True]
    steps.raised.clear()
    assert command('table8', '--budget', '0')[1].count('2 runs are left, experiments/replicate/table8_frozen_30') == 1
    code, said = command('table8')
    assert code == 0
    trained = ('prior_koniq10k', 'table8_frozen_10', 'table8_frozen_30', 'v2_aigciqa2023')
    assert steps.done == [(name, step) for name in trained for step in (1, 2, 3, 4)]
    found = report('table8')
    assert found.index.tolist() == ['frozen 10', 'frozen 30', 'frozen 50']
    assert found.loc['frozen 50', ['srcc_published', 'plcc_published']].tolist() == list(PUBLISHED['v2', 'aigciqa2023'])
    results = pd.read_json('experiments/replicate/v2_aigciqa2023/image_0-seed123/result.json')
    assert found.loc['frozen 50', 'srcc'] == results['figures']['aigciqa2023_test']['srcc']
    for text in (said, written('table8', 'md')):
        assert f'{found.loc["frozen 50", "srcc"]:.4f}' in text
        assert '0.8751' in text
    assert '0.8751' in written('table8', 'tex')
    assert max(map(len, said.splitlines()[-8:])) <= 80
    for name in ('aigciqa2023_val', 'aigciqa2023_test'):
        Image.open(f'experiments/replicate/table8_frozen_10/image_0-seed123/scatter-{name}.png').verify()

    steps.done.clear()
    code, said = command('table5', '--dry-run')
    assert 'finished  experiments/replicate/v2_aigciqa2023/image_0-seed123' in said
    assert 'to train  experiments/replicate/v1_aigciqa2023/image_0-seed123' in said
    assert 'prior' not in said.replace('experts_prior', '')
    assert (command('table8')[0], steps.done) == (0, [])


def test_a_run_that_fails_costs_its_row_alone(command, prior, steps):
    Path('options/table8/frozen_30.yml').unlink()
    Path('options/table8/frozen_70.yml').unlink()
    steps.raised['table8_frozen_10', 2] = FloatingPointError('The loss is nan: lower the rate.')
    code, said = command('table8')
    assert code == 1
    assert 'table8_frozen_10/image_0-seed123 failed: The loss is nan: lower the rate.' in said
    assert report('table8')['runs'].tolist() == [0, 1]
    assert 'The loss is nan' in written('table8', 'md')


def test_the_rows_that_need_a_prior_fail_with_it(command, steps):
    steps.raised['prior_koniq10k', 1] = FloatingPointError('The loss is nan: lower the rate.')
    code, said = command('table5')
    assert code == 1
    assert 'v2_aigciqa2023/image_0-seed123 failed: the prior failed, see experiments/prior_koniq10k' in said
    assert report('table5')['runs'].to_dict() == {
        'branches both': 1,
        'branches both experts': 1,
        'branches both experts prior': 0,
        'branches semantic': 1,
        'branches visual': 1,
    }


def test_what_is_missing_is_said_before_anything_runs(command, steps, tiny, tmp_path):
    options = copy.deepcopy(tiny[1]['table8/frozen_10.yml'])
    options['network']['weights']['semantic'] = 'weights/ImageReward.pt'
    (tmp_path / 'options' / 'table8' / 'frozen_10.yml').write_text(yaml.safe_dump(options))
    for more in ((), ('--dry-run',)):
        code, said = command('table8', *more, data='nowhere')
        assert code == 2
        for words in (
            'nowhere/aigciqa2023.csv ("moeagiqa prepare aigciqa2023 --source',
            'nowhere/koniq10k.csv',
            'weights/ImageReward.pt (get ImageReward.pt from https://huggingface.co/THUDM/ImageReward)',
        ):
            assert words in said
    assert 'to train  experiments/prior_koniq10k' in said
    assert (steps.done, list(tmp_path.rglob('replicate.*'))) == ([], [])


@pytest.fixture
def published(tmp_path, command, monkeypatch):
    """A table of one row that reads timm's and ImageReward's weights by name; what is downloaded, by name: a list."""
    fetched: list[str] = []
    options = yaml.safe_load((tmp_path / 'options' / 'table8' / 'frozen_10.yml').read_text())
    options['network']['weights'] |= {'visual': 'timm', 'semantic': 'imagereward'}
    for file in (tmp_path / 'options' / 'table8').glob('*.yml'):
        file.unlink()
    (tmp_path / 'options' / 'table8' / 'frozen_10.yml').write_text(yaml.safe_dump(options))
    monkeypatch.setattr(required, 'at_hand', lambda: None)
    monkeypatch.setattr(required, 'find_image_reward', lambda: fetched.append('imagereward'))
    monkeypatch.setattr(required, 'download_timm', fetched.append)
    return fetched


def test_published_weights_are_downloaded_before_anything_runs(command, prior, steps, published):
    code, said = command('table8', '--dry-run')
    assert (code, published) == (0, [])
    assert 'to download  ImageReward.pt' in said
    assert 'to download  timm vit_tiny_patch16_224' in said
    code, _ = command('table8', '--budget', '0')
    assert (code, sorted(published), steps.done) == (0, ['imagereward', 'vit_tiny_patch16_224'], [])


def test_a_download_that_fails_is_said_before_anything_runs(command, prior, steps, published, monkeypatch):
    def refuse():
        raise CheckpointError('imagereward has no weights yet, and they could not be downloaded.')

    monkeypatch.setattr(required, 'find_image_reward', refuse)
    code, said = command('table8')
    assert (code, steps.done) == (2, [])
    assert 'imagereward has no weights yet' in said


def test_runs_on_several_gpus_give_the_same_table(command, prior, monkeypatch):
    Path('options/table8/frozen_50.yml').unlink()
    Path('options/table8/frozen_70.yml').unlink()
    assert command('table8')[0] == 0
    alone = written('table8', 'csv')
    shutil.rmtree('experiments/replicate')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    code, said = command('table8', '--gpus', '2')
    assert code == 0
    assert 'Run 2 of 2' in said
    assert written('table8', 'csv') == alone


@pytest.mark.parametrize('name', ['table1', 'table6', 'figure4', 'tabel8'])
def test_another_table_is_one_sentence(command, name):
    code, said = command(name)
    assert code == 2
    assert (
        f'{name}: it cannot be made, because this package has no record of what its rows are; there are main,'
        in ' '.join(said.split())
    )


def test_runs_of_every_seed_and_split_are_one_row(command, tiny, tmp_path):
    rows, runs = rows_and_runs('table4', tiny[0], tmp_path, ['1', '2'], ['image'])
    assert [(row.name, row.tests, len(row.folders)) for row in rows] == [
        ('agiqa1k', ['agiqa3k', 'aigciqa2023'], 20),
        ('agiqa3k', ['agiqa1k', 'aigciqa2023'], 20),
        ('aigciqa2023', ['agiqa1k', 'agiqa3k'], 20),
    ]
    assert rows[0].folders[11] == tmp_path / 'v2_agiqa1k' / 'image_1-seed2'
    one = runs[rows[0].folders[11]]
    assert {data['split_column'] for data in one['datasets'].values()} == {'image_1'}
    assert one['test']['agiqa3k'] == {'meta_info_file': str(tiny[0] / 'agiqa3k.csv'), 'split': 'all'}


def test_the_mean_of_a_row_and_each_of_its_data_sets(command, prior, steps):
    Path('options/table4/agiqa3k.yml').unlink()
    Path('options/table4/aigciqa2023.yml').unlink()
    code, said = command('table4', '--seeds', '1,2')
    assert code == 0
    assert len(steps.done) == 2 * 4
    found = report('table4').reset_index().set_index(['row', 'data'])
    line = found.loc['agiqa1k', 'aigciqa2023']
    values = [
        pd.read_json(f'experiments/replicate/v2_agiqa1k/image_0-seed{seed}/result.json')['figures']['aigciqa2023'][
            'srcc'
        ]
        for seed in (1, 2)
    ]
    assert line['srcc'] == pytest.approx(sum(values) / 2)
    assert line['srcc_deviation'] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert (line['runs'], line['planned'], line['srcc_published'], line['plcc_published']) == (2, 2, 0.4295, 0.444)
    assert f'{line["srcc"]:.4f}±{line["srcc_deviation"]:.4f}' in said
