"""The recipe's parts: what is put into the network equals what training saw; ridge, matching and gate know what they should."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.experts import ExpertScores
from pyiqa_moeagiqa.archs.linear_score import LinearScore
from pyiqa_moeagiqa.archs.matching import PromptMatching
from pyiqa_moeagiqa.archs.moeagiqa_arch import image_means, mean_over_crops
from recipes.compact import gate, match, ridge
from recipes.compact.build import COMPACT
from recipes.compact.reduction import Reduction
from recipes.compact.transfer import CHANGES, quantiles
from recipes.damage import DAMAGE, STRENGTHS


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_the_convolution_answers_as_the_reduction_did(generator):
    scale = torch.logspace(-1, 1, 12)[:, None, None]
    features = torch.randn(40, 2, 12, 3, 3, generator=generator) * scale + 3
    reduction = Reduction(features, 5)
    reduced = reduction(features)
    convolved = reduction.as_convolution()(features.flatten(0, 1)).unflatten(0, (40, 2))
    torch.testing.assert_close(convolved, reduced, atol=1e-4, rtol=1e-4)
    assert abs(reduced.square().mean().sqrt().item() - 1) < 0.2  # about as large as the network expects


def no_copies():
    return torch.zeros(0, 10), torch.zeros(0, 2)


def test_the_linear_score_is_the_ridge(generator):
    """Compared with ridge regression written the other way, by its normal equations."""
    config = MoEAGIQAConfig.from_options(COMPACT)
    seen = torch.randn(60, 4, 5, generator=generator)  # of 60 pictures a view and three crops
    mos = torch.rand(60, 2, generator=generator)
    photos = image_means(torch.randn(3, 4, 5, generator=generator), config)
    features = image_means(seen, config)
    linear = LinearScore(5, 2, view=True)
    ridge.fit(linear, config, features, mos, ['one'] * 60, photos, *no_copies())
    zero = torch.zeros(60, 4)
    answer = linear.add_to(dict.fromkeys(('quality', 'alignment'), ExpertScores(zero, zero, zero)), seen)
    alignment = mean_over_crops(answer['alignment'].score, config)[:, 0]

    standard = (features - features.mean(0)) / features.std(0, correction=0)
    weighted = torch.cat([standard[:, :5] * ridge.VIEW**0.5, standard[:, 5:]], dim=1)
    width = 5 * (1 + ridge.VIEW)
    normal = weighted.T @ weighted / width + ridge.ALIGNMENT_PENALTY * torch.eye(10)
    expected = (
        weighted @ torch.linalg.solve(normal, weighted.T @ (mos[:, 1] - mos[:, 1].mean())) / width + mos[:, 1].mean()
    )
    torch.testing.assert_close(alignment, expected, atol=1e-5, rtol=1e-5)


def test_damaged_copies_lower_quality_and_leave_alignment(generator):
    config, features = MoEAGIQAConfig.from_options(COMPACT), torch.randn(80, 10, generator=generator)
    mos = torch.full((80, 2), 0.5) + 0.1 * torch.randn(80, 2, generator=generator)
    copies = features[:40] + torch.tensor([2.0, *[0.0] * 9])  # damage moves one feature
    copies_mos = mos[:40] * torch.tensor([0.5, 1.0])

    def slopes(*copies):
        linear = LinearScore(5, 2, view=True)
        ridge.fit(linear, config, features, mos, ['one'] * 80, features[:0], *copies)
        return linear.view.weight[:, 0] / 4

    (quality, alignment), (before, _) = slopes(copies, copies_mos), slopes(*no_copies())
    assert quality < before - 0.01
    assert abs(alignment) < 0.02


def test_photographs_and_small_families_count(generator):
    config, features = MoEAGIQAConfig.from_options(COMPACT), torch.randn(60, 10, generator=generator)
    mos, family = torch.rand(60, 2, generator=generator) / 2, np.array(['large'] * 50 + ['small'] * 10)
    photos = features[:5] + 3

    def quality(photos, family):
        linear = LinearScore(5, 2, view=True)
        ridge.fit(linear, config, features, mos, family, photos, *no_copies())
        slopes = torch.cat([linear.view.weight[0] / 4, linear.crops.weight[0] * 3 / 4])
        return lambda asked: asked @ slopes + linear.view.bias[0]

    assert quality(photos, family)(photos).mean() > quality(photos[:0], family)(photos).mean() + 0.1
    balanced, drowned = (quality(photos[:0], of)(features[50:]) - mos[50:, 0] for of in (family, ['one'] * 60))
    assert balanced.abs().mean() < drowned.abs().mean()


@pytest.fixture
def pictures_of_prompts(generator):
    """Summaries (120, 20) of pictures of 40 prompts that show their prompt's mean word (40, 6), and which."""
    prompts = torch.randn(40, 6, generator=generator) + 2
    number = np.arange(120) % 40
    mixing = torch.randn(6, 20, generator=generator)
    return prompts[number] @ mixing + 0.3 * torch.randn(120, 20, generator=generator), prompts, number


def share_of_own(matching, summaries, prompts, number):
    image = F.normalize(matching.embed_image(summaries), dim=-1)
    cosine = image @ F.normalize(matching.embed_prompt(prompts), dim=-1).T
    own = cosine[torch.arange(len(number)), torch.from_numpy(number)]
    return (own[:, None] > cosine).float().mean().item()


def test_matching_prefers_the_prompts_of_pictures_it_has_not_seen(pictures_of_prompts):
    summaries, prompts, number = pictures_of_prompts
    matching = PromptMatching(20, 6, 6, targets=2)
    seen, held = number < 30, number >= 30
    before = share_of_own(matching, summaries[held], prompts, number[held])
    match.fit(matching, summaries[seen], prompts, number[seen], torch.full((seen.sum(),), 0.5))
    assert before < 0.8 < 0.9 < share_of_own(matching, summaries[held], prompts, number[held])


def test_a_pictures_embedding_does_not_come_from_its_own_prompt(pictures_of_prompts):
    summaries, prompts, number = pictures_of_prompts
    matching, alignment = PromptMatching(20, 6, 6, targets=2), torch.full((120,), 0.5)
    embedding = match.unseen_embeddings(matching, summaries, prompts, number, alignment, seed=0)
    changed = prompts.clone()
    changed[7] += 5
    moved = match.unseen_embeddings(matching, summaries, changed, number, alignment, seed=0)
    same = (moved == embedding).all(dim=1).numpy()
    assert same[number == 7].all()
    assert not same.all()  # the others' regressions saw prompt 7


def test_a_gate_shuts_for_wrong_prompts(pictures_of_prompts):
    summaries, prompts, number = pictures_of_prompts
    matching, alignment = PromptMatching(20, 6, 6, targets=2, gates=True), torch.full((120,), 0.6)
    embedding = match.unseen_embeddings(matching, summaries, prompts, number, alignment, seed=0)
    match.fit(matching, summaries, prompts, number, alignment)
    gate.fit(matching, embedding, prompts, number, alignment, seed=0)
    texts = F.normalize(matching.embed_prompt(prompts), dim=-1)
    cosine = F.normalize(embedding, dim=-1) @ texts.T
    scores = torch.full((120, 1), 0.6)
    before = {name: ExpertScores(scores, scores, scores) for name in ('quality', 'alignment')}
    right = matching.add_to(before, cosine[torch.arange(120), torch.from_numpy(number)])
    wrong = matching.add_to(before, cosine[torch.arange(120), torch.from_numpy((number + 1) % 40)])
    assert right['quality'].score.equal(scores)
    assert wrong['quality'].score.equal(scores)
    assert abs(right['alignment'].score.mean() - 0.6) < 0.02  # the gate leaves the mean of right prompts where it is
    assert wrong['alignment'].score.mean() < 0.4


def test_intervals_hold_what_they_say():
    low, high = quantiles(np.random.default_rng(0).normal(0.02, 0.1, 4000))
    assert abs(low - (0.02 - 0.128)) < 0.01
    assert abs(high - (0.02 + 0.128)) < 0.01


@pytest.mark.parametrize('kind', DAMAGE)
def test_stronger_damage_changes_a_picture_more(kind):
    pixels = np.linspace(40, 200, 96 * 96 * 3).reshape(96, 96, 3) + np.random.default_rng(0).normal(0, 12, (96, 96, 3))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    copies = [np.asarray(DAMAGE[kind](image, strength, 1), dtype=float) for strength in range(STRENGTHS)]
    changes = [np.abs(copy - np.asarray(image)).mean() for copy in copies]
    assert changes == sorted(changes)
    assert changes[0] > 0.5
    assert all(copy.shape == (96, 96, 3) for copy in copies)


def test_sizes_and_formats_are_what_they_are_called():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8))
    shapes = {name: change(image).size for name, change in CHANGES.items()}
    assert shapes['1024 px'] == (1024, 1024)
    assert shapes['middle 16:9'] == (512, 288)
    assert shapes['middle 9:16'] == (288, 512)
    assert shapes['JPEG 85'] == (512, 512)
