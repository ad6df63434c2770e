"""The floor and the ridge: what they learn from training rows alone."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pyiqa_moeagiqa.data.table import TableError
from pyiqa_moeagiqa.leaderboard import baselines
from pyiqa_moeagiqa.leaderboard.baselines import _ridge, generator_mean, ridge
from pyiqa_moeagiqa.leaderboard.rated import Rated


def data_set(test, training):
    return Rated(test, [], ['quality'], (0, 5), training, 'prompt_0')


def test_the_floor_is_the_generators_mean_in_the_training_rows():
    training = pd.DataFrame({'generator': ['a', 'a', 'b'], 'quality': [1.0, 2.0, 5.0]})
    test = pd.DataFrame({'generator': ['b', 'a'], 'quality': [0.0, 0.0]})
    assert generator_mean(data_set(test, training), 'quality', None).tolist() == [5.0, 1.5]
    with pytest.raises(TableError, match="no training row has generator 'c'"):
        generator_mean(data_set(test.assign(generator='c'), training), 'quality', None)
    with pytest.raises(TableError, match='no column generator'):
        generator_mean(data_set(test[['quality']], training), 'quality', None)


def test_the_dual_ridge_is_the_ridge():
    random = np.random.default_rng(0)
    known, asked = random.normal(size=(40, 6)), random.normal(size=(5, 6))
    mos = known @ random.normal(size=6) + 0.5 * random.normal(size=40) + 3
    answers = []
    for penalty in baselines.PENALTIES:
        primal = np.linalg.solve(known.T @ known + penalty * np.eye(6), known.T @ (mos - mos.mean()))
        left_out = []
        for row in range(40):
            rest = np.arange(40) != row
            centred = mos[rest] - mos.mean()  # the mean stays that of all rows, as in the closed form
            weights = np.linalg.solve(known[rest].T @ known[rest] + penalty * np.eye(6), known[rest].T @ centred)
            left_out.append(mos[row] - mos.mean() - known[row] @ weights)
        answers.append((np.mean(np.square(left_out)), mos.mean() + asked @ primal))
    best = min(answers, key=lambda answer: answer[0])[1]
    assert _ridge(known, mos, asked) == pytest.approx(best)


def test_ridge_learns_from_pictures_and_keeps_their_features(tmp_path, monkeypatch, tiny_checkpoint):
    make = baselines.MoEAGIQAMetric
    monkeypatch.setattr(baselines, 'MoEAGIQAMetric', lambda: make(pretrained_model_path=str(tiny_checkpoint)))
    paths = []
    for number in range(16):  # the lighter the better
        Image.new('RGB', (64, 64), (16 * number,) * 3).save(tmp_path / f'{number}.png')
        paths.append(str(tmp_path / f'{number}.png'))
    table = pd.DataFrame({'path': paths, 'quality': np.arange(16.0)})
    rated = data_set(table[1::4].reset_index(drop=True), table[table.index % 4 != 1].reset_index(drop=True))
    scores = ridge(rated, 'quality', tmp_path)
    assert np.corrcoef(scores, rated.table['quality'])[0, 1] > 0.7
    files = list(tmp_path.glob('features/*/*.safetensors'))
    assert len(files) == 16
    monkeypatch.setattr(baselines, '_summary', None)
    assert ridge(rated, 'quality', tmp_path).tolist() == scores.tolist()
    files[0].write_bytes(files[0].read_bytes()[:-9])
    with pytest.raises(TableError, match='cached features cannot be read'):
        ridge(rated, 'quality', tmp_path)
