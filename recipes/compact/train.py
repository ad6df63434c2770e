"""Training of what comes after the frozen encoders: two mixtures of experts, the fusion and the matching of prompts."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pyiqa_moeagiqa.archs.moeagiqa_arch import Assessment, Features, MoEAGIQA
from pyiqa_moeagiqa.models.losses import matching_loss

from .data import DEGRADED_EVERY, Data
from .standardise import Standardised
from .teacher import Teacher


@dataclass(frozen=True)
class Settings:
    """Chosen on other folds than those that are reported; see MODEL_CARD.md."""

    epochs: int = 24
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.05
    correlation: float = 0.3
    alignment: float = 0.5
    matching: float = 0.05
    order: float = 0.5
    margin: float = 0.08
    average: float = 0.99
    noise: float = 0.25


def train(network: MoEAGIQA, data: Data, rows: np.ndarray, seed: int, settings: Settings) -> MoEAGIQA:
    """Train on ``rows``; returns the average of the weights over the last steps."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    seen = data.features('clean', rows).degradation
    teacher = Teacher(seen, data.mos[rows, 0])
    for ffn, part in ((network.view_ffn, seen[:, 0]), (network.local_ffn, seen[:, 1:])):
        ffn.reduce = Standardised(ffn.reduce, part).requires_grad_(False)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, settings.rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * (len(rows) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=steps, pct_start=0.1)
    average = copy.deepcopy(network).eval()
    network.train()
    for step, batch in enumerate(batches(rows, settings, random)):
        loss = taught_loss(network, data, teacher, batch, settings, random)
        loss = loss + rated_loss(network, data, batch[: settings.batch // 2], settings)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        follow(average, network, min(settings.average, step / (step + 10)))
    for ffn in (average.view_ffn, average.local_ffn):
        ffn.reduce = ffn.reduce.folded()
    return average


def batches(rows: np.ndarray, settings: Settings, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Every row once per epoch, in another order each time; an incomplete last batch is dropped."""
    for _ in range(settings.epochs):
        order = random.permutation(rows)
        for start in range(0, len(order) - settings.batch + 1, settings.batch):
            yield order[start : start + settings.batch]


@torch.no_grad()
def follow(average: MoEAGIQA, network: MoEAGIQA, keep: float) -> None:
    """Move the averaged weights towards the trained ones."""
    for mean, trained in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(trained, 1 - keep)


def taught_loss(
    network: MoEAGIQA, data: Data, teacher: Teacher, batch: np.ndarray, settings: Settings, random: np.random.Generator
) -> Tensor:
    """Quality of mixtures of two pictures, as the teacher sees it, whatever the prompt is."""
    one, other = data.features('clean', batch), data.features('clean', random.permutation(batch))
    share = torch.from_numpy(random.beta(0.5, 0.5, len(batch))).float()
    degradation = _mix(one.degradation, other.degradation, share) + settings.noise * teacher.noise(one.degradation)
    mixture = Features(degradation, None, _mix(one.image, other.image, share))
    texts = random.permutation(batch)
    score = quality(network.assess(mixture, data.ids(texts), data.mask[texts]))
    return _distance(score, teacher(mixture.degradation), settings)


def _mix(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
    share = share.view(-1, *[1] * (one.dim() - 1))
    return one * share + other * (1 - share)


def rated_loss(network: MoEAGIQA, data: Data, batch: np.ndarray, settings: Settings) -> Tensor:
    """Alignment as raters saw it, the contrast between prompts, and the order of clean and degraded pictures."""
    answer = assess(network, data, 'clean', batch)
    alignment = answer.targets['alignment'].score.mean(dim=1)
    loss = settings.alignment * _distance(alignment, data.mos[batch, 1], settings)
    loss = loss + settings.matching * matching_loss(*answer.matching, data.ids(batch), data.mos[batch, 1])
    has_degraded = batch % DEGRADED_EVERY == 0
    worse = quality(assess(network, data, 'degraded', batch[has_degraded]))
    better = quality(answer)[torch.from_numpy(has_degraded)]
    return loss + settings.order * F.relu(worse - better + settings.margin).mean()


def _distance(score: Tensor, mos: Tensor, settings: Settings) -> Tensor:
    """L1, and how far from perfectly correlated the two are."""
    correlation = F.cosine_similarity(score - score.mean(), mos - mos.mean(), dim=0)
    return F.l1_loss(score, mos) + settings.correlation * (1 - correlation)


def assess(network: MoEAGIQA, data: Data, kind: str, rows: np.ndarray) -> Assessment:
    """The network's answer for images with their own prompts."""
    return network.assess(data.features(kind, rows), data.ids(rows), data.mask[rows])


def quality(answer: Assessment) -> Tensor:
    """(N,) scores of quality."""
    return answer.targets['quality'].score.mean(dim=1)
