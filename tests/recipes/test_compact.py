"""The recipe's parts: what is put into the network equals what training saw; teachers and matching know what they should."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pyiqa_moeagiqa.archs.matching import PromptMatching
from recipes.compact import match
from recipes.compact.calibrate import coverage, quantiles
from recipes.compact.reduction import Reduction
from recipes.compact.teacher import AlignmentTeacher, PictureKernel, QualityTeacher
from recipes.compact.train import Pictures


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


def test_teachers_know_functions_of_the_picture_and_of_its_fit_to_the_prompt(generator):
    means, cosine = torch.randn(300, 8, generator=generator), torch.randn(300, generator=generator)
    quality = 0.5 + 0.1 * means[:, 0].sin()
    alignment = 0.5 + 0.1 * means[:, 1].sin() + 0.1 * cosine
    kernel = PictureKernel(means[:200])
    alike = kernel(means[:200])
    assert alike.diagonal().allclose(torch.ones(200), atol=1e-4)
    seen, held = slice(200), slice(200, 300)
    quality_teacher = QualityTeacher(alike, quality[seen])
    alignment_teacher = AlignmentTeacher(alike, cosine[seen], alignment[seen])
    near = kernel(means[held])

    def correlation(one, other):
        return torch.corrcoef(torch.stack([one, other]))[0, 1]

    assert correlation(quality_teacher(near), quality[held]) > 0.8
    assert correlation(alignment_teacher(near, cosine[held]), alignment[held]) > 0.8
    assert correlation(alignment_teacher(near, -cosine[held]), alignment[held]) < 0.5


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


def test_mixtures_lie_between_pictures(generator):
    one, other = (Pictures(*(torch.randn(4, *shape, generator=generator) for shape in ((2, 3, 1, 1), (5,), (2, 2), (3,)))) for _ in '12')  # fmt: skip
    share = torch.tensor([0.0, 0.25, 0.5, 1.0])
    mixture = one.mix(other, share)
    for a, b, mixed in zip(tuple(one), tuple(other), tuple(mixture), strict=True):
        torch.testing.assert_close(mixed[3], a[3])
        torch.testing.assert_close(mixed[0], b[0])
        torch.testing.assert_close(mixed[1], 0.25 * a[1] + 0.75 * b[1])
    assert tuple(one[torch.tensor([2])])[1].equal(one.means[2:3])


def test_intervals_hold_what_they_say_on_pictures_that_they_were_not_made_from():
    random = np.random.default_rng(0)
    errors, fold = random.normal(0.02, 0.1, 4000), np.arange(4000) % 5
    low, high = quantiles(errors)
    assert abs(low - (0.02 - 0.128)) < 0.01
    assert abs(high - (0.02 + 0.128)) < 0.01
    assert np.abs(np.array(coverage(errors, fold)) - 0.8).max() < 0.03
