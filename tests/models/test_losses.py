"""The losses that pyiqa lacks, against plain loops."""

import itertools
import math
from statistics import NormalDist

import pytest
import torch
from torch.nn.functional import normalize

from pyiqa_moeagiqa.models.losses import (
    SPREAD,
    TEMPERATURE,
    fidelity_loss,
    loss_of_each_set,
    matching_loss,
    ranking_loss,
)

IMAGES = 5
ONE_SET = torch.zeros(IMAGES)


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.rand(*shape, generator=generator)


def test_ranking_loss(draw):
    score, mos = draw(IMAGES, 1), draw(IMAGES, 1)
    mos[1] = mos[3]  # no pair
    pairs = [(i, j) for i in range(IMAGES) for j in range(IMAGES) if mos[i] > mos[j]]
    short = [max(0, float((mos[i] - mos[j]) - (score[i] - score[j]))) for i, j in pairs]
    assert len(pairs) == 9
    assert ranking_loss(score, mos, ONE_SET).item() == pytest.approx(sum(short) / len(short), abs=1e-6)
    assert ranking_loss(mos, mos, ONE_SET).item() == pytest.approx(0, abs=1e-7)
    assert ranking_loss(score, torch.ones(IMAGES, 1), ONE_SET).item() == 0


SETS = torch.tensor([0, 1, 0, 1, 1])


def of_each_set(loss, *values) -> float:
    """The mean over the pairs of both sets, of losses that the sets have alone; the sets have 1 and 3 pairs."""
    one, other = (loss(*(value[number == SETS] for value in values), SETS[number == SETS]) for number in (0, 1))
    return (one + 3 * other).item() / 4


def test_images_of_two_sets_are_no_pair(draw):
    score, mos, deviation = draw(IMAGES, 1), draw(IMAGES, 1), draw(IMAGES, 1)
    assert ranking_loss(score, mos, SETS).item() == pytest.approx(of_each_set(ranking_loss, score, mos), abs=1e-6)
    expected = of_each_set(fidelity_loss, score, mos, deviation)
    assert fidelity_loss(score, mos, deviation, SETS).item() == pytest.approx(expected, abs=1e-6)
    assert fidelity_loss(score, mos, deviation, torch.arange(IMAGES)).item() == 0


def test_a_loss_on_scores_together_is_of_each_set(draw):
    score, mos = draw(IMAGES, 1), draw(IMAGES, 1)

    def largest(score, mos):
        return (score - mos).abs().max()

    assert loss_of_each_set(largest, score, mos, ONE_SET) == largest(score, mos)
    each = [largest(score[number == SETS], mos[number == SETS]).item() for number in (0, 1)]
    found = loss_of_each_set(largest, score, mos, SETS).item()
    assert found == pytest.approx((2 * each[0] + 3 * each[1]) / IMAGES, abs=1e-6)
    assert loss_of_each_set(largest, score, mos, torch.arange(IMAGES)).item() == 0


def test_fidelity_loss(draw):
    score, mos, deviation = draw(IMAGES, 1), draw(IMAGES, 1), draw(IMAGES, 1)
    deviation[3] = deviation[4] = 0
    mos[4] = mos[3]  # the raters are undecided
    total = 0.0
    for i, j in itertools.combinations(range(IMAGES), 2):
        apart, spread = float(mos[i] - mos[j]), math.hypot(deviation[i], deviation[j])
        p = NormalDist().cdf(apart / spread) if spread else 0.5
        given = NormalDist().cdf(float(score[i] - score[j]) / (SPREAD * 2**0.5))
        total += 1 - math.sqrt(p * given) - math.sqrt((1 - p) * (1 - given))
    assert fidelity_loss(score, mos, deviation, ONE_SET).item() == pytest.approx(total / 10, abs=1e-4)


def test_fidelity_without_deviations_asks_for_the_order_alone():
    mos, none = torch.tensor([[0.2], [0.3]]), torch.zeros(2, 1)
    right, wrong = (
        fidelity_loss(torch.tensor([[0.0], [5 * sign]]), mos, none, torch.zeros(2)).item() for sign in (1, -1)
    )
    assert right == pytest.approx(0, abs=1e-3)
    assert wrong == pytest.approx(1, abs=1e-3)


def test_the_gradient_of_fidelity_is_finite_where_it_is_surest():
    score = torch.tensor([[0.0], [9.0], [0.5]], requires_grad=True)
    fidelity_loss(score, torch.tensor([[1.0], [0.0], [1.0]]), torch.zeros(3, 1), torch.zeros(3)).backward()
    assert score.grad.isfinite().all()


def test_ranking_loss_pushes_a_pair_apart():
    score, mos = torch.tensor([[0.4], [0.5]], requires_grad=True), torch.tensor([[0.9], [0.1]])
    ranking_loss(score, mos, torch.zeros(2)).backward()
    assert score.grad.flatten().tolist() == [-1, 1]


def plain_matching_loss(image, prompt, ids) -> float:
    """Each image among the prompts, each prompt among the images; equal prompts of others are left out."""
    total = 0.0
    for i in range(len(ids)):
        others = [j for j in range(len(ids)) if j == i or ids[j].tolist() != ids[i].tolist()]
        own = float(image[i] @ prompt[i]) / TEMPERATURE
        to_prompts = sum(math.exp(float(image[i] @ prompt[j]) / TEMPERATURE) for j in others)
        to_images = sum(math.exp(float(image[j] @ prompt[i]) / TEMPERATURE) for j in others)
        total += math.log(to_prompts) + math.log(to_images) - 2 * own
    return total / len(ids) / 2


def test_matching_loss(draw):
    image, prompt = (normalize(draw(IMAGES, 4) - 0.5, dim=-1) for _ in range(2))
    ids = torch.tensor([[1, 2], [3, 4], [1, 2], [5, 6], [3, 7]])
    expected = plain_matching_loss(image, prompt, ids)
    assert matching_loss(image, prompt, ids).item() == pytest.approx(expected, abs=1e-5)


def test_matching_loss_of_one_prompt_alone_is_nothing(draw):
    image, prompt = (normalize(draw(2, 4), dim=-1) for _ in range(2))
    assert matching_loss(image, prompt, torch.tensor([[1, 2], [1, 2]])).item() == pytest.approx(0, abs=1e-6)
