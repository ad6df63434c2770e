"""The Python functions: a table whatever is given, the same scores as the metric's, and one failure is one row's."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyiqa
import pytest
import torch
from PIL import Image

import pyiqa_moeagiqa
from pyiqa_moeagiqa import rank, score, score_matrix

OTHER_TARGET = ['alignment', 'alignment_mos', 'alignment_low', 'alignment_high', 'alignment_percentile', 'novelty']
COLUMNS = ['path', 'prompt', 'score', 'mos', 'low', 'high', 'percentile', *OTHER_TARGET, 'reason', 'notes']
PROMPTS = ['a cat', 'a dog', 'two birds']


@pytest.fixture(scope='module')
def metric(tiny_checkpoint):
    return pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint))


@pytest.fixture
def files(pictures):
    return [str(pictures / name) for name in ('a.png', 'b.jpg', 'sub/c.webp')]


def pixels(path):
    return np.asarray(Image.open(path).convert('RGB'))


def test_the_functions_are_shown_and_load_nothing_until_they_are_used():
    code = (
        'import sys, pyiqa_moeagiqa as package\n'
        'names = dir(package)\n'
        "assert {'score', 'rank', 'score_matrix', '__version__'} <= set(names), names\n"
        "assert not {'torch', 'pandas', 'typing'} & set(sys.modules) - before\n"
    )
    subprocess.run([sys.executable, '-S', '-c', f'import sys; before = set(sys.modules)\nsys.path[:] = {sys.path}\n{code}'], check=True)  # fmt: skip
    with pytest.raises(AttributeError, match="module 'pyiqa_moeagiqa' has no attribute 'scores'"):
        pyiqa_moeagiqa.scores  # noqa: B018


def test_each_image_has_the_metrics_score_in_its_order(metric, files):
    table = score([files[2], files[0], files[2]], PROMPTS, metric=metric)
    assert list(table.columns) == COLUMNS
    expected = [metric(path, caption_list=[prompt]).item() for path, prompt in zip(table['path'], PROMPTS, strict=True)]
    assert table['score'].tolist() == expected
    assert table['mos'].isna().all(), 'the header says nothing of MOS'
    assert table[['reason', 'notes']].eq('').all(axis=None)


def test_a_picture_has_one_score_in_whatever_form_it_is_given(metric, files):
    expected = score(files[0], 'a cat', metric=metric)['score'].item()
    array = pixels(files[0])
    same = [Image.open(files[0]), array, np.dstack([array, np.full(array.shape[:2], 255, np.uint8)])]
    assert score(same, 'a cat', metric=metric)['score'].tolist() == [expected] * 3
    floats = [array / 255, (array / 255).astype(np.float32), torch.from_numpy(array.copy()).permute(2, 0, 1) / 255]
    np.testing.assert_allclose(score(floats, 'a cat', metric=metric)['score'], expected, rtol=1e-5)


def test_one_that_fails_is_one_row(metric, files):
    images = [files[0], 'gone.png', np.zeros((4, 4, 2)), torch.full((3, 8, 8), 7.0), np.zeros((4, 4, 3), int), files[1]]
    table = score(images, 'a cat', metric=metric)
    assert table['score'].isna().tolist() == [False, True, True, True, True, False]
    reasons = ['there is no such image file', 'has shape (4, 4, 2)', 'scale them to [0, 1]', 'type int64: give uint8']
    for reason, words in zip(table['reason'][1:5], reasons, strict=True):
        assert words in reason
    reasons = score(files, metric=metric)['reason']
    assert len(reasons) == 3
    assert reasons.str.startswith('there is no prompt for it: not in ').all()


def test_what_was_cut_of_a_prompt_is_noted(metric, files):
    table = score(files[:2], ['a cat', 'word ' * 40], metric=metric)
    assert table['notes'].tolist() == ['', f"its prompt was cut by 7 tokens: '…{' '.join(['word'] * 7)}'"]


def test_nothing_to_score_is_an_empty_table(metric):
    assert list(score([], 'a cat', metric=metric).columns) == COLUMNS


def test_options_go_to_the_metric(tiny_checkpoint, files):
    options = {'pretrained_model_path': str(tiny_checkpoint), 'crops': 3}
    made = pyiqa.create_metric('moeagiqa', target='alignment', **options)
    table = score(files, 'a cat', target='alignment', **options)
    assert table['score'].tolist() == [made(path, caption_list=['a cat']).item() for path in files]


def test_other_metrics_have_their_score_alone(files):
    piqe = pyiqa.create_metric('piqe')
    from_files = score(files[:1], metric=piqe)
    assert list(from_files.columns) == ['path', 'prompt', 'score', 'reason', 'notes']
    assert score([pixels(files[0])], metric=piqe)['score'].item() == pytest.approx(from_files['score'].item(), rel=1e-5)
    with pytest.raises(ValueError, match='does not look at prompts'):
        score_matrix(files, PROMPTS, metric=piqe)


def test_the_matrix_has_the_metrics_scores_and_encodes_an_image_once(metric, files, monkeypatch):
    calls, encode = [], metric.net.network.encode
    expected = [[metric(path, caption_list=[prompt]).item() for prompt in PROMPTS] for path in files]
    monkeypatch.setattr(metric.net.network, 'encode', lambda *given: calls.append(1) or encode(*given))
    matrix = score_matrix(files, PROMPTS, metric=metric)
    assert (matrix.index.tolist(), matrix.columns.tolist()) == (files, PROMPTS)
    assert matrix.to_numpy().tolist() == expected
    assert len(calls) == len(files)
    in_memory = score_matrix([pixels(files[0]), torch.full((3, 8, 8), 0.5)], PROMPTS, metric=metric)
    assert in_memory.iloc[0].tolist() == expected[0]
    assert in_memory.iloc[1].notna().all()


def test_an_image_that_fails_is_a_row_of_nan_and_said(metric, files):
    with pytest.warns(UserWarning, match='gone.png: not scored: there is no such image file') as said:
        matrix = score_matrix([files[0], 'gone.png', files[1]], PROMPTS, metric=metric)
    assert matrix.isna().all(axis=1).tolist() == [False, True, False]
    assert len([one for one in said if 'gone.png' in str(one.message)]) == 1


@pytest.mark.parametrize('prompts', [[], ['a cat', 'a cat'], ['a cat', None], 3])
def test_a_matrix_needs_different_prompts(metric, files, prompts):
    with pytest.raises((ValueError, TypeError), match=r'one or more different strings|not iterable'):
        score_matrix(files, prompts, metric=metric)


def test_the_best_is_first_within_each_prompt(metric, files):
    images = [*files, 'gone.png', *files]
    table = rank(images, ['a dog', 'a cat', 'a dog', 'a dog', 'a cat', 'a dog', 'a cat'], metric=metric)
    assert table['prompt'].tolist() == ['a dog'] * 4 + ['a cat'] * 3
    assert table['rank'].astype(object).where(table['rank'].notna(), None).tolist() == [1, 2, 3, None, 1, 2, 3]
    for _, rows in table.groupby('prompt'):
        assert rows['score'].dropna().is_monotonic_decreasing
    assert table['reason'][3] == 'there is no such image file.'


def test_lower_comes_first_where_lower_is_better(files):
    table = rank(files[:2], metric='piqe')
    assert table['score'].is_monotonic_increasing
    assert table['rank'].tolist() == [1, 2]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'metric': 'beauty'}, 'pyiqa has no such metric'),
        ({'metric': 'psnr'}, 'compares with a reference'),
        ({'metric': 3}, 'metric is 3: it must be a name'),
        ({'target': 'beauty'}, "target is 'beauty': this checkpoint scores quality, alignment"),
        ({'long_prompts': 'all'}, "long_prompts is 'all': it must be 'cut' or 'window'"),
        ({'metric': 'piqe', 'target': 'quality'}, 'takes no --target'),
    ],
)
def test_what_cannot_be_made_is_named(files, options, words, tiny_checkpoint):
    if 'metric' not in options:
        options = options | {'pretrained_model_path': str(tiny_checkpoint)}
    with pytest.raises(ValueError, match=words):
        score(files, 'a cat', **options)


def test_options_are_not_for_a_metric_that_is_made(metric, files):
    with pytest.raises(ValueError, match='crops was given with a metric that is made already'):
        score(files, 'a cat', metric=metric, crops=3)


def test_other_columns_and_the_index_of_a_table_stay(metric, files):
    given = pd.DataFrame(
        {'image': files[:2], 'caption': PROMPTS[:2], 'seed': [7, 8], 'score': ['x', 'y']}, index=['one', 'two']
    )
    table = score(given, metric=metric)
    assert list(table.columns) == [*COLUMNS, 'seed', 'given_score']
    assert table['given_score'].tolist() == ['x', 'y']
    assert table.index.tolist() == ['one', 'two']
    assert rank(given.assign(rank=[5, 6]), metric=metric)['given_rank'].tolist() == [5, 6]
    assert table['seed'].tolist() == [7, 8]
    assert table['prompt'].tolist() == PROMPTS[:2]


def test_both_targets_come_from_one_pass(metric, files, tiny_checkpoint):
    alignment = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint), target='alignment')
    both, other = score(files, 'a cat', metric=metric), score(files, 'a cat', metric=alignment)
    assert both['alignment'].tolist() == other['score'].tolist()
    assert other['quality'].tolist() == both['score'].tolist()
