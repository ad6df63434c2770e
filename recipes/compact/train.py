"""Training of what comes after the frozen encoders: two mixtures of experts, the fusion and the matching of prompts."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pyiqa_moeagiqa.archs.moeagiqa_arch import Assessment, MoEAGIQA
from pyiqa_moeagiqa.models.losses import matching_loss

from .data import DEGRADED_EVERY, Data
from .features import CROPS
from .standardise import Standardised


@dataclass(frozen=True)
class Settings:
    """Chosen on other folds than those that are reported; see MODEL_CARD.md."""

    epochs: int = 12
    batch: int = 64
    crops: int = 2
    rate: float = 1e-3
    weight_decay: float = 0.05
    plcc: float = 0.3
    matching: float = 0.05
    degraded: float = 0.5
    margin: float = 0.08
    average: float = 0.99
    drop: float = 0.3


def plcc_loss(scores: Tensor, mos: Tensor) -> Tensor:
    """0 for perfectly correlated, 1 for perfectly opposed."""
    return (1 - F.cosine_similarity(scores - scores.mean(), mos - mos.mean(), dim=0)) / 2


def train(network: MoEAGIQA, data: Data, rows: np.ndarray, seed: int, settings: Settings) -> MoEAGIQA:
    """Train on ``rows``; returns the average of the weights over the last steps."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    seen = data.features('clean', rows).degradation
    for ffn, part in ((network.view_ffn, seen[:, 0]), (network.local_ffn, seen[:, 1:])):
        ffn.reduce = Standardised(ffn.reduce, part, settings.drop)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, settings.rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * (len(rows) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=steps, pct_start=0.1)
    average = copy.deepcopy(network).eval()
    network.train()
    for step, batch in enumerate(batches(rows, settings, random)):
        loss = batch_loss(network, data, batch, settings, random)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        follow(average, network, min(settings.average, step / (step + 10)))
    for ffn in (average.view_ffn, average.local_ffn):
        ffn.reduce = ffn.reduce.folded()
    return average


def batches(rows: np.ndarray, settings: Settings, random: np.random.Generator):
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


def batch_loss(
    network: MoEAGIQA, data: Data, batch: np.ndarray, settings: Settings, random: np.random.Generator
) -> Tensor:
    """L1 and correlation of both targets, the contrast between prompts, and the order of clean and degraded."""
    kind = random.choice(['clean', 'mirrored'])
    crops = crops_of(kind, settings, random)
    answer = network.assess(data.features(kind, batch, crops), data.ids(batch), data.mask[batch])
    loss = settings.matching * matching_loss(answer.matching, data.ids(batch), data.mos[batch, 1])
    for place, scores in enumerate(answer.targets.values()):
        score, mos = scores.score.mean(dim=1), data.mos[batch, place]
        loss = loss + F.l1_loss(score, mos) + settings.plcc * plcc_loss(score, mos)
    return loss + settings.degraded * order_loss(network, data, batch, settings.margin)


def crops_of(kind: str, settings: Settings, random: np.random.Generator) -> list[int]:
    """The whole view and some crops; mirrored pictures have one crop."""
    return [0, 1] if kind == 'mirrored' else [0, *(1 + random.permutation(CROPS)[: settings.crops])]


def order_loss(network: MoEAGIQA, data: Data, batch: np.ndarray, margin: float) -> Tensor:
    """How far a degraded picture's quality is from being ``margin`` below the clean one's."""
    rows = batch[batch % DEGRADED_EVERY == 0][:16]
    worse = quality(assess(network, data, 'degraded', rows))
    better = quality(assess(network, data, 'clean', rows, [0, 1, 2]))
    return F.relu(worse - better + margin).mean()


def assess(network: MoEAGIQA, data: Data, kind: str, rows: np.ndarray, crops: list[int] | None = None) -> Assessment:
    """The network's answer for images with their own prompts."""
    return network.assess(data.features(kind, rows, crops), data.ids(rows), data.mask[rows])


def quality(answer: Assessment) -> Tensor:
    """(N,) scores of quality."""
    return answer.targets['quality'].score.mean(dim=1)
