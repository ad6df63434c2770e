"""How evenly the experts are used, and which images are furthest off."""

import numpy as np
import pytest

from pyiqa_moeagiqa.models.validation import WORST, Validation, metrics

EVEN, ONE = np.full(4, 0.25), np.array([1.0, 0, 0, 0])


def validation(gate=EVEN, chosen=EVEN, errors=(0.0,)):
    scores = np.zeros((len(errors), 1))
    mos = np.array(errors, dtype=float)[:, None]
    paths = [f'{row}.png' for row in range(len(errors))]
    return Validation(scores, mos, paths, {'quality': gate}, {'quality': chosen}, {})


@pytest.mark.parametrize(('gate', 'expected'), [(EVEN, 1), (ONE, 0), (np.array([0.5, 0.5, 0, 0]), 0.5)])
def test_entropy_of_even_use_is_one_and_of_a_single_expert_none(gate, expected):
    assert validation(gate).entropy()['quality'] == pytest.approx(expected, abs=1e-9)


def test_a_network_of_one_expert_has_no_entropy():
    assert validation(np.ones(1), np.ones(1)).entropy() == {}


def test_an_expert_chosen_for_less_than_a_hundredth_of_crops_is_dead():
    (sentence,) = validation(chosen=np.array([1.0, 0.98, 0.009, 0.011])).dead_experts()
    assert sentence.startswith('Expert 2 of quality is dead')
    assert validation().dead_experts() == []


def test_the_worst_come_first():
    errors = [0.1, -0.9, 0.3, 0.0, 0.5, -0.2, 0.25, 0.05, 0.7, 0.6]
    expected = sorted(range(len(errors)), key=lambda row: -abs(errors[row]))[:WORST]
    assert validation(errors=errors).worst().tolist() == expected


def test_metrics_of_further_targets_have_the_targets_name():
    scores, mos = np.array([[1.0, 1], [2, 3], [3, 2]]), np.array([[1.0, 1], [2, 2], [3, 3]])
    found = metrics(scores, mos, ['quality', 'alignment'], {'srcc': {'type': 'calculate_srcc'}})
    assert found == pytest.approx({'srcc': 1.0, 'alignment_srcc': 0.5})
