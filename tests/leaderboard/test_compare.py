"""Two generators compared: the figures against hand-made cases, and the command on small pictures."""

import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter
from scipy.stats import binomtest, wilcoxon
from typer.testing import CliRunner

from pyiqa_moeagiqa.cli import app
from pyiqa_moeagiqa.leaderboard.compare_page import Report, write_comparison
from pyiqa_moeagiqa.leaderboard.comparison import FEWEST, LEVEL, compare_scores, sign_test, signed_ranks, wilson
from pyiqa_moeagiqa.scoring.scale import Scale


def side(scores: dict[str, list[float]]) -> pd.DataFrame:
    rows = [(key, f'{key}{n}.png', score) for key, values in scores.items() for n, score in enumerate(values)]
    return pd.DataFrame(rows, columns=['key', 'path', 'score'])


def test_each_prompt_counts_once_by_the_mean_of_its_images():
    found = compare_scores(
        [side({'a': [1, 2, 6], 'b': [1], 'c': [2], 'x': [0]}), side({'a': [2], 'b': [3, 5], 'c': [2], 'y': [0]})]
    )
    assert found.pairs['key'].tolist() == ['a', 'c', 'b']
    assert found.pairs['difference'].tolist() == [1, 0, -3]
    assert found.pairs['images_one'].tolist() == [3, 1, 1]
    assert found.pairs.loc[0, 'path_one'] == 'a1.png'  # 2 is nearest the mean 3
    assert found.left_out == (['x'], ['y'])
    assert found.win_rate == 0.5
    assert found.difference == pytest.approx(-2 / 3)
    assert found.too_few
    assert found.better is None


def test_lower_scores_may_be_the_better_ones():
    better, worse = side({str(n): [n] for n in range(12)}), side({str(n): [n + 1 + n / 10] for n in range(12)})
    assert compare_scores([better, worse]).better == 1
    found = compare_scores([better, worse], lower_better=True)
    assert (found.better, found.win_rate) == (0, 1)
    assert found.difference > 0
    assert found.difference_interval[0] > 0
    assert found.pairs['one'].max() == 11  # scores stay


def test_chance_is_not_taken_for_a_difference():
    random = np.random.default_rng(0)
    verdicts = []
    for _ in range(60):
        one, other = ({str(n): [value] for n, value in enumerate(random.normal(size=20))} for _ in range(2))
        found = compare_scores([side(one), side(other)])
        verdicts.append((found.better is not None, found.difference_interval[0] < 0 < found.difference_interval[1]))
    wrong, covered = np.mean(verdicts, axis=0)
    assert wrong < 0.15
    assert covered > 0.85


def test_wilson_is_scipys_and_takes_halves():
    for wins, count in ((0, 4), (7, 12), (40, 40)):
        expected = binomtest(wins, count).proportion_ci(method='wilson')
        assert wilson(wins, count) == pytest.approx((expected.low, expected.high))
    assert wilson(7, 12)[0] < wilson(7.5, 12)[0] < wilson(8, 12)[0]


def test_equal_sides_are_a_tie():
    found = compare_scores([side({str(n): [n] for n in range(9)})] * 2)
    assert (found.win_rate, found.difference, found.p_difference, found.p_wins, found.better) == (0.5, 0, 1, 1, None)


def test_ties_do_not_enter_the_tests():
    difference = np.array([3.0, -1, 2, 5, 4, 6, 0, 0])
    assert sign_test(difference) == binomtest(5, 6).pvalue
    assert signed_ranks(difference) == (wilcoxon(difference[:6]).pvalue, 0)
    assert signed_ranks(-difference)[1] == 1


def test_nothing_in_common_is_said():
    with pytest.raises(ValueError, match='in common'):
        compare_scores([side({'a': [1]}), side({'b': [1]})])


def test_the_outcome_in_a_sentence():
    def said(differences):
        one = side({str(n): [0.5 + value] for n, value in enumerate(differences)})
        found = compare_scores([one, side({str(n): [0.5] for n in range(len(differences))})])
        return Report(found, ('A', 'B'), 'moeagiqa', False, 'prompts').sentence()

    assert said([0.1, -0.1, 0.2]) == (
        'A wins 67 % of 3 prompts, Wilcoxon p = 0.75: fewer than 6 prompts pair, too few to tell and too few for an interval.'
    )
    assert said([0.1, -0.1] * 10).startswith('A wins 50 % of 20 prompts (95 %: 30 to 70), Wilcoxon p = 1')
    assert said([0.1, -0.1] * 10).endswith(': the data cannot tell them apart.')
    assert said([-0.1 - n / 100 for n in range(10)]).endswith('B is better, judged by moeagiqa.')


def test_fewest_is_where_an_outcome_can_be_below_the_level():
    outcome = np.arange(1.0, FEWEST + 1)
    for test in (sign_test, lambda difference: signed_ranks(difference)[0]):
        assert test(outcome) < LEVEL <= test(outcome[1:])


def test_ties_do_not_make_few_pairs_enough():
    one = side({str(n): [0.5 + 0.1 * (n < FEWEST - 1)] for n in range(20)})
    found = compare_scores([one, one.assign(score=0.5)])
    assert found.too_few
    assert found.better is None
    assert 'fewer than 6 prompts differ, too few to tell' in Report(found, ('A', 'B'), 'x', False, 'prompts').sentence()


@pytest.mark.parametrize('pairs', [1, FEWEST - 1, FEWEST])
def test_too_few_pairs_have_no_interval(pairs, tmp_path):
    one = side({str(n): [0.5 + n / 10] for n in range(pairs)})
    report = Report(compare_scores([one, one.assign(score=0.25)]), ('A', 'B'), 'x', False, 'prompts')
    write_comparison(tmp_path / 'a.html', report)
    page = (tmp_path / 'a.html').read_text()
    assert ('too few for an interval' in page) == ('<td></td>' in page.split('A wins')[2]) == (pairs < FEWEST)
    assert [bool(row[2]) for row in report.figures()] == [False, False] + 2 * [pairs >= FEWEST]


def test_scores_stand_beside_their_mos():
    found = compare_scores([side({'a': [0.5]}), side({'a': [0.25]})])
    values = [row[1] for row in Report(found, ('A', 'B'), 'x', False, 'prompts', Scale((0, 5), None, None)).figures()]
    assert values[:2] == ['0.5000 (MOS 2.50)', '0.2500 (MOS 1.25)']
    values = [row[1] for row in Report(found, ('A', 'B'), 'x', False, 'prompts', Scale(None, None, None)).figures()]
    assert values[:2] == ['0.5000', '0.2500']


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Six prompts, one picture each of sharp/ and two of soft/, and their table."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('COLUMNS', '200')
    random, rows = np.random.default_rng(0), []
    for number in range(6):
        pixels = Image.fromarray(random.integers(0, 256, (96, 96, 3), dtype=np.uint8))
        for name, radius in ((f'sharp/{number}.png', 0), (f'soft/{number}_a.png', 2), (f'soft/{number}_b.png', 3)):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            pixels.filter(ImageFilter.GaussianBlur(radius)).save(name)
            rows.append((name, f'<b>prompt</b> {number}'))
    pd.DataFrame(rows, columns=['path', 'prompt']).to_csv('prompts.csv', index=False)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ['compare', *map(str, arguments)])


def test_folders_pair_by_prompt(folders):
    rows = (folders / 'prompts.csv').read_text() + 'sharp/extra.png,only here\n'
    (folders / 'prompts.csv').write_text(rows)
    Image.open('sharp/0.png').save('sharp/extra.png')
    result = run('sharp', 'soft/', '--prompts', 'prompts.csv', '--metric', 'entropy')
    assert result.exit_code == 0, result.output
    table = pd.read_csv('compare/compare.csv')
    assert table['key'].tolist().count('<b>prompt</b> 0') == 1
    assert (table['images_other'] == 2).all()
    assert len(table) == 6
    assert 'sharp wins 100 % of 6 prompts' in result.stdout
    assert 'only sharp has them (1): only here' in result.stdout
    page = (folders / 'compare/compare.html').read_text()
    assert '&lt;b&gt;prompt&lt;/b&gt; 0' in page
    assert '<b>prompt' not in page
    assert 'http' not in page.replace('http://www.w3.org', '')
    assert page.count('data:image/jpeg') == 12


def test_file_names_pair_where_there_are_no_prompts_or_one(folders):
    for number in range(6):
        Image.open(f'soft/{number}_a.png').save(f'soft/{number}.jpg')
    result = run('soft', 'sharp', '--metric', 'entropy')
    assert result.exit_code == 0, result.output
    assert 'soft wins 0 % of 6 file names' in result.stdout
    assert run('soft', 'sharp', '--metric', 'entropy', '--prompt', 'x', '--output', 'other').exit_code == 0
    assert pd.read_csv('other/compare.csv').equals(pd.read_csv('compare/compare.csv'))


def test_lower_is_better_for_piqe(folders):
    result = run('sharp', 'soft', '--prompts', 'prompts.csv', '--metric', 'piqe')
    table = pd.read_csv('compare/compare.csv')
    assert result.exit_code == 0, result.output
    assert np.allclose(table['difference'], table['other'] - table['one'])
    assert 'lower scores are better' in result.stdout


def test_a_second_run_computes_what_is_new(folders, tiny_checkpoint, monkeypatch):
    from pyiqa_moeagiqa.scoring import by_content

    scored, score_items = [], by_content.score_items
    monkeypatch.setattr(
        by_content,
        'score_items',
        lambda metric, items: score_items(metric, [scored.append(i) or i for i in items]),
    )
    arguments = ('sharp', 'soft', '--prompts', 'prompts.csv', '--weights', tiny_checkpoint)
    assert run(*arguments).exit_code == 0
    first = (folders / 'compare/compare.csv').read_bytes()
    assert len(scored) == 18
    assert run(*arguments).exit_code == 0
    assert len(scored) == 18
    assert (folders / 'compare/compare.csv').read_bytes() == first
    Image.open('sharp/0.png').rotate(90).save('sharp/0.png')  # another image under an old name
    assert run(*arguments).exit_code == 0
    assert [item.path.name for item in scored[18:]] == ['0.png']
    refused = run('sharp', 'soft', '--prompts', 'prompts.csv', '--metric', 'entropy')
    assert refused.exit_code == 2
    assert "were made with metric 'moeagiqa'" in refused.stderr


def test_a_damaged_image_is_reported_and_the_rest_compared(folders):
    (folders / 'soft/0_a.png').write_bytes(b'no image')
    result = run('sharp', 'soft', '--prompts', 'prompts.csv', '--metric', 'entropy')
    assert result.exit_code == 1
    assert '0_a.png: not scored' in result.stderr
    assert 'of 6 prompts' in result.stdout


def test_misuse_is_one_sentence(folders):
    (folders / 'none').mkdir()
    (folders / 'sharp/in').mkdir()
    for arguments, said in (
        (('sharp', 'soft'), 'Prompts are needed'),
        (('sharp', 'missing', '--prompt', 'x'), 'missing: there is no such folder'),
        (('sharp', 'sharp/0.png', '--prompt', 'x'), 'there is no such folder'),
        (('sharp', 'sharp/in', '--prompt', 'x'), 'one is inside the other'),
        (('sharp', 'none', '--prompt', 'x'), 'there are no images'),
        (('sharp', 'soft', '--metric', 'entropy'), 'No file name'),
        (('sharp', 'soft', '--metric', 'psnr', '--prompts', 'prompts.csv'), 'reference'),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, (arguments, result.output)
        (line,) = result.stderr.splitlines()
        assert said in line
    assert not (folders / 'compare').exists()


def test_sizes_that_differ_are_said(folders):
    assert 'differ in size' not in run('sharp', 'soft', '--prompts', 'prompts.csv', '--metric', 'entropy').stdout
    for number in range(6):
        Image.open(f'sharp/{number}.png').resize((192, 192)).save(f'sharp/{number}.png')
    result = run('sharp', 'soft', '--prompts', 'prompts.csv', '--metric', 'entropy')
    sentence = 'The images differ in size (96 x 96 to 192 x 192 pixels)'
    assert sentence in result.stdout
    assert sentence in (folders / 'compare/compare.html').read_text()


def test_options_reach_the_metric(folders, tiny_checkpoint):
    both = ('sharp', 'soft', '--prompts', 'prompts.csv', '--weights', tiny_checkpoint)
    assert run(*both, '--crops', '1', '--device', 'cpu', '--dtype', 'bfloat16', '--output', 'one').exit_code == 0
    assert 'bfloat16' in (folders / 'one/scores.parquet.run.json').read_text()
    assert run(*both, '--fast', '--target', 'alignment', '--output', 'fast').exit_code == 0
    assert 'alignment' in (folders / 'fast/scores.parquet.run.json').read_text()
    for options, said in (
        (('--device', 'abacus'), '--device abacus'),
        (('--dtype', 'float7'), "dtype is 'float7'"),
        (('--metric', 'entropy', '--weights', 'x', '--fast'), 'takes no --fast'),
    ):
        result = run('sharp', 'soft', '--prompts', 'prompts.csv', *options, '--output', 'none')
        assert result.exit_code == 2, options
        (line,) = result.stderr.splitlines()
        assert said in line


def test_hostile_names_of_folders_and_prompts(folders):
    (folders / 'sharp').rename(folders / '$s_{$ <b>\x1b[31m')
    (folders / 'soft').rename(folders / '=cmd')
    prompts = ['=1+1', 'a | b', '<script>alert(1)</script>', 'c\nd', '$x_{$', '\x1b[2J']
    rows = [
        (path, prompts[number])
        for number in range(6)
        for path in (f'$s_{{$ <b>\x1b[31m/{number}.png', f'=cmd/{number}_a.png')
    ]
    pd.DataFrame(rows, columns=['path', 'prompt']).to_csv('prompts.csv', index=False)
    Image.new('RGB', (8, 8)).save(os.fsencode(folders / '=cmd') + b'/\xff.png')
    result = run('$s_{$ <b>\x1b[31m', '=cmd', '--prompts', 'prompts.csv', '--metric', 'entropy')
    assert result.exit_code == 1, result.output  # for the name that is no Unicode
    assert '\x1b' not in result.output
    assert len(result.stderr.splitlines()) <= 16
    page = (folders / 'compare/compare.html').read_text(encoding='utf-8')
    assert '<script>alert' not in page
    assert '\x1b' not in page
    keys = pd.read_csv('compare/compare.csv')['key'].tolist()
    assert "'=1+1" in keys


def test_a_picture_that_is_gone_since_it_was_scored_leaves_the_page_without_it(tmp_path):
    found = compare_scores([side({str(n): [n] for n in range(6)}), side({str(n): [0] for n in range(6)})])
    write_comparison(tmp_path / 'a.html', Report(found, ('A', 'B'), 'x', False, 'prompts'))
    assert 'image/jpeg' not in (tmp_path / 'a.html').read_text()
