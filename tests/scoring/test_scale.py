"""MOS units, intervals and percentiles: as the header has them, and empty where it says nothing."""

from types import SimpleNamespace

import pytest

from pyiqa_moeagiqa.checkpoints import find, read_header
from pyiqa_moeagiqa.data.info import description
from pyiqa_moeagiqa.scoring.scale import Scale, scale_of

EMPTY = {'mos': None, 'low': None, 'high': None, 'percentile': None}
OF_3K = {'dataset': 'AGIQA-3K, 240 of its 300 prompts', 'mos_range': [0, 5]}


def scale(target='quality', **info):
    return scale_of(SimpleNamespace(net=SimpleNamespace(info=info, target=target)))


def test_a_score_is_in_mos_units_of_its_range():
    said = Scale((1, 100), (-0.1, 0.2), None).of(0.5)
    assert (said['mos'], said['percentile']) == (50.5, None)
    assert said['low'] == pytest.approx(50.5 - 9.9)
    assert said['high'] == pytest.approx(50.5 + 19.8)


def test_a_header_that_says_nothing_leaves_the_columns_empty():
    assert scale().of(0.5) == EMPTY
    assert scale(mos_range='unknown', interval={'quality': [-0.1, 0.1]}).of(0.5) == EMPTY
    assert scale(mos_range=[0, 5]).of(0.5) == EMPTY | {'mos': 2.5}


def test_the_interval_stays_within_what_raters_can_give():
    said = scale(mos_range=[1, 5], interval={'quality': [-0.2, 0.2]})
    assert said.of(0.1) == pytest.approx({'mos': 1.4, 'low': 1, 'high': 2.2, 'percentile': None})
    assert said.of(0.9)['high'] == 5
    assert (said.of(1.5)['low'], said.of(1.5)['high']) == (5, 5)


def test_the_interval_is_the_targets():
    info = {'mos_range': [0, 5], 'interval': {'alignment': [-0.2, 0.4]}}
    assert scale('alignment', **info).of(0.5) == {'mos': 2.5, 'low': 1.5, 'high': 4.5, 'percentile': None}
    assert scale('quality', **info).of(0.5)['low'] is None


@pytest.mark.parametrize('target', ['quality', 'alignment'])
def test_the_percentile_is_the_share_of_official_mos_below(target):
    quantiles = description('agiqa3k')['quantiles'][target]
    assert len(quantiles) == 101
    assert quantiles == sorted(quantiles)
    for place in (10, 50, 90):
        assert scale(target, **OF_3K).of(quantiles[place] / 5)['percentile'] == pytest.approx(place)
    assert scale(target, **OF_3K).of(-0.5)['percentile'] == 0
    assert scale(target, **OF_3K).of(1.5)['percentile'] == 100


@pytest.mark.parametrize(
    ('info', 'has'),
    [
        ({'dataset': 'agiqa3k'}, True),
        ({'dataset': 'AGIQA_3K'}, True),
        ({'dataset': 'AGIQA-1K'}, False),
        ({'dataset': 'agiqa3k', 'mos_range': [0, 100]}, False),
        ({'dataset': None}, False),
    ],
)
def test_a_percentile_is_for_checkpoints_of_agiqa3k_alone(info, has):
    assert (scale(**OF_3K | info).of(0.5)['percentile'] is not None) == has


def test_the_default_has_all_of_it():
    _, info = read_header(find('moeagiqa'))
    for target in ('quality', 'alignment'):
        said = scale(target, **info).of(0.6)
        assert said['low'] < said['mos'] == 3 < said['high']
        assert 50 < said['percentile'] < 75


def test_other_metrics_have_no_scale():
    assert scale_of(SimpleNamespace(net=SimpleNamespace())) is None
