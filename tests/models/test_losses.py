"""The losses that pyiqa lacks, against plain loops."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from pyiqa_moeagiqa.models.losses import TEMPERATURE, matching_loss, ranking_loss

IMAGES = 5


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
    assert ranking_loss(score, mos).item() == pytest.approx(sum(short) / len(short), abs=1e-6)
    assert ranking_loss(mos, mos).item() == pytest.approx(0, abs=1e-7)
    assert ranking_loss(score, torch.ones(IMAGES, 1)).item() == 0


def test_ranking_loss_pushes_a_pair_apart():
    score, mos = torch.tensor([[0.4], [0.5]], requires_grad=True), torch.tensor([[0.9], [0.1]])
    ranking_loss(score, mos).backward()
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
