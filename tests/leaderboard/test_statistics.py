"""Figures by hand-made tables whose answers are known."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pyiqa_moeagiqa.leaderboard import table as leaderboard_table
from pyiqa_moeagiqa.leaderboard.entry import Entry
from pyiqa_moeagiqa.leaderboard.statistics import (
    agreement,
    holm,
    interval,
    p_value,
    pair_accuracy,
    regret,
    resampled,
    srcc,
    within,
)
from pyiqa_moeagiqa.leaderboard.table import board_of


def rated(noise: float, seed: int = 0, prompts: int = 30, each: int = 8) -> pd.DataFrame:
    """Images of prompts by two generators, and scores that follow their MOS up to noise."""
    random = np.random.default_rng(seed)
    mos = random.uniform(0, 5, prompts * each)
    return pd.DataFrame(
        {
            'prompt': np.repeat([f'prompt {n}' for n in range(prompts)], each),
            'generator': np.tile(['one', 'other'], prompts * each // 2),
            'mos': mos,
            'score': mos / 5 + noise * np.random.default_rng(seed + 1).normal(size=len(mos)),
        }
    )


def test_perfect_scores_agree_perfectly():
    figures = agreement(rated(0))
    for name in ('srcc', 'plcc', 'krcc', 'main'):
        assert figures[name] == pytest.approx(1)
    assert figures['plcc_fit'] > 0.999
    assert figures['rmse_fit'] < 0.1
    assert pair_accuracy(rated(0), 0.3) == 1
    assert regret(rated(0)) == 0


def test_figures_are_those_of_scipy():
    table = rated(0.2)
    figures = agreement(table)
    assert figures['srcc'] == pytest.approx(stats.spearmanr(table['score'], table['mos'])[0])
    assert figures['plcc'] == pytest.approx(stats.pearsonr(table['score'], table['mos'])[0])
    assert figures['krcc'] == pytest.approx(stats.kendalltau(table['score'], table['mos'])[0])
    assert figures['main'] == pytest.approx((figures['srcc'] + figures['plcc']) / 2)


def test_the_fit_mends_a_bent_scale_and_knows_no_units():
    table = rated(0.01)
    inner = table['score'].clip(0.01, 0.99)
    bent = table.assign(score=np.log(inner / (1 - inner)))
    assert agreement(bent)['plcc_fit'] > agreement(bent)['plcc'] + 0.01
    for scale in (1e-3, 1, 1e3):
        assert agreement(bent.assign(score=scale * bent['score']))['plcc_fit'] == pytest.approx(
            agreement(bent)['plcc_fit'], abs=1e-6
        )


def test_inverted_scores_are_not_forgiven():
    table = rated(0.1)
    inverted = table.assign(score=-table['score'])
    assert srcc(inverted) < -0.9
    assert pair_accuracy(inverted, 0.3) < 0.1


def test_pooled_figures_flatter_where_generators_differ():
    table = rated(0)
    better = table['generator'] == 'one'
    table = table.assign(
        mos=table['mos'] + 10 * better, score=better + 0.01 * np.random.default_rng(0).normal(size=240)
    )
    assert srcc(table) > 0.7
    assert abs(within(table)) < 0.2


def test_pairs_are_of_one_prompt_and_far_enough_apart():
    table = pd.DataFrame({'prompt': list('aaabb'), 'mos': [1, 1.1, 3, 5, 0], 'score': [0.1, 0.0, 0.5, 0.2, 0.9]})
    assert pair_accuracy(table, 0.3) == pytest.approx(2 / 3)  # both pairs with 3, and b's, which is wrong
    assert pair_accuracy(table.assign(score=1), 0.3) == 0.5
    assert np.isnan(pair_accuracy(table[:2], 0.3))


def test_regret_is_what_the_best_scored_image_lacks():
    table = pd.DataFrame({'prompt': list('aabbc'), 'mos': [1, 4, 2, 3, 5], 'score': [0.9, 0.1, 0.2, 0.8, 0.5]})
    assert regret(table) == pytest.approx((3 + 0) / 2)
    assert np.isnan(regret(table[4:]))


def test_resampling_draws_prompts_not_images():
    # Ten copies of each image say no more than one: by images the interval would be three times as narrow.
    few = rated(0.3, prompts=20, each=2)
    copies = pd.concat([few] * 10, ignore_index=True)
    values = resampled({'few': few}, srcc, count=200)['few'], resampled({'copies': copies}, srcc, count=200)['copies']
    one, ten = (np.subtract(*interval(part)[::-1]) for part in values)
    assert ten == pytest.approx(one, rel=0.25)
    low, high = interval(values[0])
    assert low < srcc(few) < high


def test_images_of_one_prompt_or_none_are_drawn_one_by_one():
    table = pd.DataFrame({'prompt': '', 'mos': range(12), 'score': [0, 2, 1, 4, 3, 6, 5, 8, 7, 9, 11, 10]})
    values = resampled({'good': table, 'bad': table.assign(score=table['score'] % 7)}, srcc, count=200)
    low, high = interval(values['good'])
    assert low < srcc(table) < high
    assert 0 < p_value(values['good'], values['bad']) < 1


def test_a_better_metric_is_told_from_a_worse_one_and_equals_are_a_tie():
    table = rated(0.1)
    tables = {'good': table, 'same': table.assign(score=2 * table['score']), 'bad': rated(0.6)}
    values = resampled(tables, srcc, count=300)
    assert p_value(values['good'], values['bad']) < 0.01
    assert p_value(values['good'], values['same']) == 1
    assert p_value(values['bad'], values['good']) == p_value(values['good'], values['bad'])


def test_resamples_without_a_figure_are_no_evidence():
    one, other = pd.Series([0.1, 0.2, np.nan, np.nan]), pd.Series([0.2, 0.1, 0.5, np.nan])
    assert p_value(one, other) == 1
    assert np.isnan(p_value(one, pd.Series([np.nan] * 4)))
    assert holm([0.01, float('nan'), 0.02])[::2] == pytest.approx([0.02, 0.02])


def test_many_metrics_can_be_told_apart(monkeypatch):
    monkeypatch.setattr(leaderboard_table, 'resampled', partial(resampled, count=30))
    table = rated(0.1, prompts=10, each=4)
    bad = [Entry(f'bad {n}', 'set', 'quality', table.assign(score=-table['score'])) for n in range(30)]
    board = board_of([*bad, Entry('good', 'set', 'quality', table)])
    assert board.rows['against_best'].tolist() == ['best', *['p < 0.001'] * 30]
    same = board.tests[board.tests['metric'] != 'good']
    assert len(same) == 30 * 29 / 2
    assert (same['p'] == 1).all()
    assert (same['difference'] == 0).all()


def test_holm_corrects_step_by_step():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1])
    assert holm([]) == []
