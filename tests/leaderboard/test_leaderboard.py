"""``moeagiqa leaderboard`` on small pictures: what it computes, keeps, and says."""

import pickle
import re

import numpy as np
import pandas as pd
import pyiqa
import pytest
import torch
from huggingface_hub import constants
from PIL import Image, ImageFilter
from typer.testing import CliRunner

from pyiqa_moeagiqa.cli import app
from pyiqa_moeagiqa.leaderboard import entries
from pyiqa_moeagiqa.leaderboard.contestants import parse
from pyiqa_moeagiqa.leaderboard.rated import Rated
from pyiqa_moeagiqa.leaderboard.scored import _how, _parameters
from pyiqa_moeagiqa.leaderboard.statistics import srcc
from pyiqa_moeagiqa.scoring import by_content
from pyiqa_moeagiqa.scoring.command import make_metric
from pyiqa_moeagiqa.scoring.run import Result


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Twelve pictures of four prompts, the more blurred the worse, and their table."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('COLUMNS', '200')
    random, rows = np.random.default_rng(0), []
    for number in range(12):
        pixels = Image.fromarray(random.integers(0, 256, (96, 96, 3), dtype=np.uint8))
        pixels.filter(ImageFilter.GaussianBlur(number / 4)).save(tmp_path / f'{number}.png')
        rows.append((f'{number}.png', f'prompt {number % 4}', 'ab'[number % 2], 5 - number / 3, number % 3))
    table = pd.DataFrame(rows, columns=['path', 'prompt', 'generator', 'quality', 'split'])
    table.to_csv(tmp_path / 'set.csv', index=False)
    return tmp_path / 'set.csv'


def run(*arguments):
    return CliRunner().invoke(app, ['leaderboard', *map(str, arguments)])


def board(folder='leaderboard'):
    return pd.read_csv(f'{folder}/leaderboard.csv', keep_default_na=False).set_index('metric')


def test_metrics_stand_beside_each_other(data):
    result = run('--metrics', 'entropy,piqe', '--data', data)
    assert result.exit_code == 0, result.output
    table = board()
    assert set(table.index) == {'entropy', 'piqe'}
    assert table['srcc'].astype(float).is_monotonic_decreasing
    assert table['against_best'].iloc[0] == 'best'
    assert (table['how'] == 'zero-shot').all()
    assert (table['seconds'].astype(float) > 0).all()
    metric = make_metric('piqe', {})
    scores = [-float(metric(str(data.parent / f'{number}.png'))) for number in range(12)]  # lower is better
    own = pd.DataFrame({'score': scores, 'mos': pd.read_csv(data)['quality']})
    assert float(table.loc['piqe', 'srcc']) == pytest.approx(srcc(own))
    assert '| piqe |' in (data.parent / 'leaderboard' / 'leaderboard.md').read_text()
    generators = pd.read_csv('leaderboard/generators.csv')
    assert list(generators.columns) == ['data', 'target', 'metric', 'a', 'b']


def test_our_metric_is_given_prompts_and_says_what_it_was_trained_on(data, tiny_checkpoint, monkeypatch):
    make = entries.make_metric
    tiny = {'pretrained_model_path': str(tiny_checkpoint)}
    monkeypatch.setattr(entries, 'make_metric', lambda name, options: make(name, tiny | options))
    result = run('--metrics', 'moeagiqa', '--data', data)
    assert result.exit_code == 0, result.output
    metric = make('moeagiqa', tiny)
    rows = pd.read_csv(data)
    scores = [
        float(metric(path, caption_list=[prompt])) for path, prompt in zip(rows['path'], rows['prompt'], strict=True)
    ]
    own = pd.DataFrame({'score': scores, 'mos': rows['quality']})
    assert float(board().loc['moeagiqa', 'srcc']) == pytest.approx(srcc(own))
    data.write_text(data.read_text().replace('quality', 'alignment'))
    assert run('--metrics', 'moeagiqa', '--data', data, '--target', 'alignment', '--output', 'other').exit_code == 0
    second = make('moeagiqa', tiny | {'target': 'alignment'})
    scores = [
        float(second(path, caption_list=[prompt])) for path, prompt in zip(rows['path'], rows['prompt'], strict=True)
    ]
    own = pd.DataFrame({'score': scores, 'mos': rows['quality']})
    assert float(board('other').loc['moeagiqa', 'srcc']) == pytest.approx(srcc(own))


def test_imagereward_is_a_row_with_its_prompts_and_no_target(data, image_reward_file):
    assert run('--metrics', f'imagereward:{image_reward_file}', '--data', data).exit_code == 0
    metric = make_metric('imagereward', {'pretrained_model_path': str(image_reward_file)})
    rows = pd.read_csv(data)
    scores = metric(list(rows['path']), caption_list=rows['prompt']).flatten().tolist()
    row = board().loc['imagereward ImageReward']
    assert float(row['srcc']) == pytest.approx(srcc(pd.DataFrame({'score': scores, 'mos': rows['quality']})))
    assert row['how'] == 'zero-shot'


def test_what_was_scored_is_not_scored_again(data, monkeypatch):
    assert run('--metrics', 'entropy', '--data', data).exit_code == 0
    before = board()
    scored, score_items = [], by_content.score_items

    def spy(metric, items):
        items = list(items)
        scored.append(len(items))
        return score_items(metric, items)

    monkeypatch.setattr(by_content, 'score_items', spy)
    (data.parent / '0.png').rename(data.parent / 'renamed.png')  # content counts, not names
    data.write_text(data.read_text().replace('\n0.png', '\nrenamed.png'))
    assert run('--metrics', 'entropy,piqe', '--data', data).exit_code == 0
    assert scored == [0, 12]
    assert board().loc['entropy', 'srcc'] == before.loc['entropy', 'srcc']
    assert board().loc['entropy', 'seconds'] == before.loc['entropy', 'seconds']


def test_a_metric_that_cannot_be_had_is_a_row_that_says_why(data, monkeypatch):
    def make(name, options):
        if name == 'musiq':
            raise ValueError('--metric musiq: pyiqa cannot make it (no network).')
        return make_metric(name, options)

    monkeypatch.setattr(entries, 'make_metric', make)
    result = run('--metrics', 'musiq,entropy', '--data', data)
    assert result.exit_code == 1
    assert board().loc['musiq', 'reason'] == 'pyiqa cannot make it (no network).'
    assert board().loc['musiq', 'srcc'] == ''
    assert list(board().index) == ['entropy', 'musiq']


def test_an_image_without_score_leaves_the_row_without_figures(data):
    (data.parent / '3.png').write_bytes(b'no image')
    result = run('--metrics', 'entropy', '--data', data)
    assert result.exit_code == 1
    assert '1 of 12 images have no score; the first is' in board().loc['entropy', 'reason']
    assert '3.png' in board().loc['entropy', 'reason']


def test_a_column_of_the_tables_own_called_mos_is_not_taken_for_the_target(data):
    table = pd.read_csv(data)
    table.assign(mos=1).to_csv(data, index=False)
    assert run('--metrics', 'entropy', '--data', data).exit_code == 0
    assert abs(float(board().loc['entropy', 'srcc'])) > 0


def test_without_a_way_to_the_hub_nobody_waits_for_it(monkeypatch):
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    monkeypatch.setattr(constants, 'ENDPOINT', 'http://127.0.0.1:1')
    with entries.no_waiting_for_the_hub():
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE


def test_parameters_that_pyiqa_hides_count():
    network = torch.nn.Linear(2, 3)
    network.clip_model = [torch.nn.Linear(4, 5)]
    assert _parameters(network) == 9 + 25


def test_only_a_split_and_several_sets(data):
    other = data.with_name('other.csv')
    other.write_text(data.read_text())
    result = run('--metrics', 'entropy', '--data', data, '--data', other, '--split', 'split=1')
    assert result.exit_code == 0, result.output
    assert board()['data'].tolist() == ['set', 'other']
    assert len(pd.read_parquet(next(data.parent.glob('leaderboard/scores/set-entropy-*.parquet')))) == 4


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--metrics', 'entropi'], 'entropi: pyiqa has no such no-reference metric'),
        (['--metrics', ','], 'names no metric'),
        (['--metrics', 'entropy', '--target', 'beauty'], "column 'beauty' is missing"),
        (['--metrics', 'entropy', '--split', 'part=test'], 'must be COLUMN=VALUE'),
        (['--metrics', 'entropy', '--split', 'split=9'], "no row has split '9'; there are '0', '1', '2'."),
        (['--metrics', 'entropy,generator-mean'], 'generator-mean: it is fitted to training rows; give --split'),
        (['--metrics', 'entropy', '--data', 'set.csv'], "two tables are called 'set'"),
        (['--metrics', 'entropy', '--data', 'gone.csv'], 'gone.csv: there is no such file'),
    ],
)
def test_misuse_is_one_sentence(data, arguments, words):
    result = run('--data', data, *arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (data.parent / 'leaderboard').exists()


def test_what_trained_on_these_images_is_said(tiny_checkpoint):
    metric = make_metric('moeagiqa', {'pretrained_model_path': str(tiny_checkpoint)})
    contestant, empty = parse('moeagiqa'), pd.DataFrame()
    rated = Rated(empty, [], ['quality'], (0, 5), empty, 'prompt_0')
    assert _how(contestant, metric, 'agiqa3k', rated) == 'zero-shot'
    metric.net.info['dataset'] = 'AGIQA-3K, 240 of its prompts'
    assert _how(contestant, metric, 'agiqa1k', rated) == 'trained on AGIQA-3K, 240 of its prompts'
    assert _how(contestant, metric, 'agiqa3k', rated).endswith('240 of its prompts: perhaps on these images')
    metric.net.info['split'] = 'prompt_1'
    assert _how(contestant, metric, 'agiqa3k', rated).endswith(': perhaps on these images')
    metric.net.info['split'] = 'prompt_0'
    assert _how(contestant, metric, 'agiqa3k', rated) == 'trained on prompt_0=train'
    assert _how(parse('cnniqa:a/b.pth'), metric, 'agiqa3k', rated) == 'own weights, b.pth'


def test_a_baseline_is_fitted_to_the_training_rows(data):
    table = pd.read_csv(data)
    table['part'] = ['train', 'train', 'test'] * 4
    table['quality'] += table['generator'] == 'a'
    table.to_csv(data, index=False)
    result = run('--metrics', 'generator-mean,entropy', '--data', data, '--split', 'part=test')
    assert result.exit_code == 0, result.output
    assert board().loc['generator-mean', 'how'] == 'trained on part=train'
    result = run('--metrics', 'generator-mean', '--data', data, '--split', 'generator=a')
    assert result.exit_code == 1
    assert 'give --split COLUMN=test' in board().loc['generator-mean', 'reason']


def test_weights_of_ones_own_are_another_row_with_its_own_scores(data):
    network = pyiqa.create_metric('cnniqa', pretrained=None).net
    for name, sign in (('up', 1), ('down', -1)):
        weights = network.state_dict()
        weights['fc3.weight'], weights['fc3.bias'] = sign * weights['fc3.weight'], sign * weights['fc3.bias']
        torch.save({'params': weights}, data.parent / f'{name}.pth')
    result = run('--metrics', 'cnniqa:up.pth,mine=cnniqa:down.pth', '--data', data)
    assert result.exit_code == 0, result.output
    srccs = board()['srcc'].astype(float)
    assert set(srccs.index) == {'cnniqa up', 'mine'}
    assert srccs['cnniqa up'] == pytest.approx(-srccs['mine'])
    assert board().loc['mine', 'how'] == 'own weights, down.pth'


def test_weights_that_would_run_are_not_loaded(data):
    class Runs:
        def __reduce__(self):
            return open, (str(data.parent / 'has run'), 'w')

    (data.parent / 'bad.pth').write_bytes(pickle.dumps(Runs()))
    torch.save({'params': Runs()}, data.parent / 'worse.pth')
    result = run('--metrics', 'entropy,cnniqa:bad.pth,cnniqa:worse.pth,cnniqa:gone.pth', '--data', data)
    assert result.exit_code == 1
    reasons = board()['reason']
    assert 'bad.pth: not loaded' in reasons['cnniqa bad']
    assert 'worse.pth: not loaded' in reasons['cnniqa worse']
    assert 'gone.pth: there is no such file' in reasons['cnniqa gone']
    assert not (data.parent / 'has run').exists()


def test_a_few_images_without_score_count_as_the_median(data, monkeypatch):
    random = np.random.default_rng(1)
    rows = pd.read_csv(data)
    for number in range(12, 24):
        Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(data.parent / f'{number}.png')
        rows.loc[len(rows)] = [f'{number}.png', 'a prompt', 'a', number / 6, 0]
    rows.to_csv(data, index=False)
    score_items = by_content.score_items

    def one_fails(metric, items):
        for result in score_items(metric, items):
            if result.path.endswith('15.png'):
                result.score, result.reason = None, 'its score is nan'
            yield result

    monkeypatch.setattr(by_content, 'score_items', one_fails)
    result = run('--metrics', 'entropy', '--data', data)
    assert result.exit_code == 0, result.output
    assert '1 of 24 images have no score' in board().loc['entropy', 'how']
    assert 'they get the median score' in board().loc['entropy', 'how']


def test_several_targets_and_sets_across(data):
    other = data.with_name('other.csv')
    pd.read_csv(data).assign(alignment=lambda table: table['quality'][::-1].to_numpy()).to_csv(other, index=False)
    result = run('--metrics', 'entropy,piqe', '--data', data, '--data', other, '--target', 'quality,alignment')
    assert result.exit_code == 0, result.output
    table = pd.read_csv('leaderboard/across.csv').set_index(['target', 'metric'])
    rows = pd.read_csv('leaderboard/leaderboard.csv').set_index(['data', 'target', 'metric'])
    assert table.loc[('quality', 'piqe'), 'other'] == pytest.approx(rows.loc[('other', 'quality', 'piqe'), 'srcc'])
    assert np.isnan(table.loc[('alignment', 'piqe'), 'set'])
    assert len(pd.read_csv('leaderboard/tests.csv')) == 3
    assert run('--metrics', 'entropy', '--data', other).exit_code == 0
    assert not {'across.csv', 'tests.csv'} & {path.name for path in (data.parent / 'leaderboard').iterdir()}


def test_the_page_is_one_file_with_all_that_was_measured(data):
    nasty = '<script>alert(1)</script> a & b | c'
    table = pd.read_csv(data)
    table.assign(prompt=table['prompt'].replace('prompt 1', nasty)).rename(columns={'set': 'x'}).to_csv('agiqa3k.csv')
    result = run('--metrics', 'entropy,piqe,musiq:gone.pth', '--data', 'agiqa3k.csv', '--published')
    assert result.exit_code == 1
    page = (data.parent / 'leaderboard/leaderboard.html').read_text()
    assert '<script>alert' not in page
    assert '&lt;script&gt;alert(1)&lt;/script&gt; a &amp; b' in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert 'gone.pth' in page
    assert page.count('class="card"') == 4  # one for each prompt
    assert 'M3-AGIQA' in page
    assert list(board().index) == ['entropy', 'piqe', 'musiq gone'] or list(board().index)[:2] == ['piqe', 'entropy']
    for name in ('intervals', 'scatter', 'generator'):
        Image.open(data.parent / f'leaderboard/figures/agiqa3k-quality-{name}.png').verify()
    latex = (data.parent / 'leaderboard/leaderboard.tex').read_text()
    assert latex.count(r'\toprule') == latex.count(r'\bottomrule') == 2
    markdown = (data.parent / 'leaderboard/leaderboard.md').read_text()
    lines = [line for line in markdown.splitlines() if line.startswith('|')]
    assert {line.count('|') for line in lines[:4]} == {16}


def test_published_figures_are_shown_only_when_asked_for(data):
    data.rename(data.with_name('agiqa3k.csv'))
    assert run('--metrics', 'entropy', '--data', 'agiqa3k.csv').exit_code == 0
    assert 'M3-AGIQA' not in (data.parent / 'leaderboard/leaderboard.html').read_text()
    assert 'M3-AGIQA' not in (data.parent / 'leaderboard/leaderboard.md').read_text()


def test_a_data_sets_name_is_escaped_in_latex(data):
    data.rename(data.with_name('50% a_b & c.csv'))
    assert run('--metrics', 'entropy', '--data', '50% a_b & c.csv').exit_code == 0
    assert r'\caption{50\% a\_b \& c, quality}' in (data.parent / 'leaderboard/leaderboard.tex').read_text()


def test_the_table_fits_80_columns(data, monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')
    result = run('--metrics', 'entropy,piqe,ridge', '--data', data, '--split', 'generator=a')
    lines = [line for line in result.output.splitlines() if line.startswith(('metric ', 'entropy ', 'piqe '))]
    assert len(lines) == 3
    assert '…' not in result.output
    assert re.search(r'piqe +-?\d\.\d{3} +-?\d\.\d{3} to -?\d\.\d{3} ', result.output)


@pytest.mark.filterwarnings('error::RuntimeWarning')
def test_scores_that_are_all_the_same_are_said_and_are_no_best(data, monkeypatch):
    def constant(metric, items):
        return [Result(str(item.path), item.prompt, 0.5) for item in items]

    score_items = by_content.score_items
    monkeypatch.setattr(by_content, 'score_items', constant)
    assert run('--metrics', 'piqe', '--data', data).exit_code == 1
    assert board().loc['piqe', 'reason'] == 'all images score 0.5, and a constant has no correlation'
    assert board().loc['piqe', 'against_best'] == ''
    page = (data.parent / 'leaderboard/leaderboard.html').read_text()  # of no figures at all
    assert 'all images score 0.5' in page
    assert '>nan<' not in page.lower()
    monkeypatch.setattr(by_content, 'score_items', score_items)
    assert run('--metrics', 'piqe,entropy', '--data', data).exit_code == 1
    assert board().loc['entropy', 'against_best'] == 'best'


@pytest.mark.filterwarnings('error::RuntimeWarning')
def test_what_cannot_be_decided_is_an_empty_cell_or_a_sentence(data):
    table = pd.read_csv(data)
    table.head(3).assign(generator=['a', 'b', 'c']).to_csv('three.csv', index=False)
    result = run('--metrics', 'entropy,piqe', '--data', 'three.csv')
    assert result.exit_code == 0, result.output
    assert 'nan' not in result.output
    assert 'nan' not in (data.parent / 'leaderboard/leaderboard.md').read_text()
    for rows, said in (
        (table.head(2), '2 images are left, too few to correlate'),
        (table.assign(quality=3), "all 12 images have 3 in column 'quality'"),
    ):
        rows.to_csv('none.csv', index=False)
        result = run('--metrics', 'entropy', '--data', 'none.csv')
        assert result.exit_code == 2
        (line,) = result.stderr.splitlines()
        assert said in line


def test_pairs_and_regret_stand_before_what_is_seldom_read(data):
    assert run('--metrics', 'entropy', '--data', data).exit_code == 0
    page = (data.parent / 'leaderboard/leaderboard.html').read_text()
    columns = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', page)
    assert columns[:7] == ['metric', 'SRCC', '95 %', 'best?', 'within', 'pairs', 'regret']
    assert columns[14] == 'how'


def test_a_narrow_page_shrinks_its_figures(data):
    assert run('--metrics', 'entropy', '--data', data).exit_code == 0
    assert 'figure img { max-width: 100%; height: auto' in (data.parent / 'leaderboard/leaderboard.html').read_text()
