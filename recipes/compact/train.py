"""Training of what comes after the frozen encoders: two mixtures of experts, the fusion and the matching of prompts."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyiqa_moeagiqa.archs.matching import mean_word
from pyiqa_moeagiqa.archs.moeagiqa_arch import Assessment, Features, MoEAGIQA

from . import match
from .data import DEGRADED_EVERY, Data
from .reduction import Reduction
from .teacher import AlignmentTeacher, PictureKernel, QualityTeacher


@dataclass(frozen=True)
class Settings:
    """Chosen on other folds than those that are reported; see MODEL_CARD.md."""

    epochs: int = 24
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.05
    correlation: float = 0.3
    alignment: float = 0.5
    order: float = 0.5
    margin: float = 0.08
    average: float = 0.99
    noise: float = 0.25


class Pictures(NamedTuple):
    """What training sees of N pictures: FFN_v's input after its first convolution, and what the teachers go by.

    Attributes:
        reduced: (N, 1 + n, H, h, w), the view first.
        means: (N, 2 * C) over places, of the view and of the crops.
        image: (N, tokens, D), what prompts attend to.
        embedding: (N, d), what prompts are matched with.
    """

    reduced: Tensor
    means: Tensor
    image: Tensor
    embedding: Tensor

    def __getitem__(self, rows) -> 'Pictures':
        return Pictures(*(part[rows] for part in tuple(self)))

    def mix(self, other: 'Pictures', share: Tensor) -> 'Pictures':
        """So much of each of these, (N,), and the rest of the other."""
        pairs = zip(tuple(self), tuple(other), strict=True)
        return Pictures(*(torch.lerp(b, a, share.view(-1, *[1] * (a.dim() - 1))) for a, b in pairs))


class Lesson:
    """Training pictures, and the teachers that were made from them.

    Args:
        network: gets its matching of prompts here.
        data: all pictures.
        rows: those to train on.
    """

    def __init__(self, network: MoEAGIQA, data: Data, rows: np.ndarray, seed: int):
        features, hidden = data.features('clean', rows), network.config.hidden
        self.view = Reduction(features.degradation[:, :1], hidden)
        self.crops = Reduction(features.degradation[:, 1:], hidden)
        summary, mos = network.summary(features), data.mos[rows]
        prompts = mean_word(network.semantic.text.states, data.prompt_mask)
        number = data.prompt[rows].numpy()
        embedding = match.unseen_embeddings(network.matching, summary, prompts, number, mos[:, 1], seed)
        match.fit(network.matching, summary, prompts, number, mos[:, 1])
        means = summary[:, : 2 * features.degradation.shape[2]]
        self.pictures = Pictures(self.reduce(features.degradation), means, features.image, embedding)
        self.degraded = data.features('degraded', np.arange(0, len(data.table), DEGRADED_EVERY))
        self.kernel = PictureKernel(means)
        alike = self.kernel(means)
        cosine = F.cosine_similarity(embedding, network.matching.embed_prompt(prompts[number]).detach())
        self.quality = QualityTeacher(alike, mos[:, 0])
        self.alignment = AlignmentTeacher(alike, cosine, mos[:, 1])
        self.deviation = means.std(0).chunk(2)

    def reduce(self, degradation: Tensor) -> Tensor:
        """FFN_v's first convolution."""
        return torch.cat([self.view(degradation[:, :1]), self.crops(degradation[:, 1:])], dim=1)

    def noised(self, pictures: Pictures, level: float) -> Pictures:
        """With normal noise, ``level`` times each channel's deviation between pictures, the same at all places of a crop."""
        view, crops = self.deviation
        count, views = pictures.reduced.shape[:2]
        on_view = level * view * torch.randn(count, 1, len(view))
        on_crops = level * crops * torch.randn(count, views - 1, len(crops))
        moved = torch.cat([on_view @ self.view.weight.T, on_crops @ self.crops.weight.T], dim=1)
        means = pictures.means + torch.cat([on_view[:, 0], on_crops.mean(dim=1)], dim=1)
        return pictures._replace(reduced=pictures.reduced + moved[..., None, None], means=means)


def train(network: MoEAGIQA, data: Data, rows: np.ndarray, seed: int, settings: Settings) -> MoEAGIQA:
    """Train on ``rows``; returns the average of the weights over the last steps."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    lesson = Lesson(network, data, rows, seed)
    network.view_ffn.reduce, network.local_ffn.reduce = nn.Identity(), nn.Identity()
    for embedding in (network.matching.embed_image, network.matching.embed_prompt):
        embedding.requires_grad_(False)
    network.matching = match.KnownEmbeddings(network.matching)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, settings.rate, weight_decay=settings.weight_decay, fused=True)
    steps = settings.epochs * (len(rows) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=steps, pct_start=0.1)
    average = copy.deepcopy(network).eval()
    network.train()
    for step, batch in enumerate(batches(len(rows), settings, random)):
        loss = taught_loss(network, data, lesson, rows, batch, settings, random)
        loss = loss + rated_loss(network, data, lesson, rows, batch[: settings.batch // 2], settings)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        follow(average, network, min(settings.average, step / (step + 10)))
    average.view_ffn.reduce, average.local_ffn.reduce = lesson.view.as_convolution(), lesson.crops.as_convolution()
    average.matching = average.matching.matching
    return average


def batches(count: int, settings: Settings, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Every place once per epoch, in another order each time; an incomplete last batch is dropped."""
    for _ in range(settings.epochs):
        order = random.permutation(count)
        for start in range(0, count - settings.batch + 1, settings.batch):
            yield order[start : start + settings.batch]


@torch.no_grad()
def follow(average: MoEAGIQA, network: MoEAGIQA, keep: float) -> None:
    """Move the averaged weights towards the trained ones."""
    for mean, trained in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(trained, 1 - keep)


def taught_loss(
    network: MoEAGIQA, data: Data, lesson: Lesson, rows: np.ndarray, batch: np.ndarray, settings: Settings,
    random: np.random.Generator,
) -> Tensor:  # fmt: skip
    """Quality and alignment of mixtures of two pictures as the teachers see them; every other one has its own prompt."""
    share = torch.from_numpy(random.beta(0.5, 0.5, len(batch))).float()
    mixture = lesson.pictures[batch].mix(lesson.pictures[random.permutation(batch)], share)
    mixture = lesson.noised(mixture, settings.noise)
    texts = np.where(np.arange(len(batch)) % 2, batch, random.permutation(batch))
    answer = assess(network, data, mixture, rows[texts])
    image, prompt = answer.matching
    cosine = (image * prompt).sum(dim=1).detach()
    quality, alignment = (score_of(answer, target) for target in ('quality', 'alignment'))
    alike = lesson.kernel(mixture.means)
    loss = _distance(quality, lesson.quality(alike), settings)
    return loss + settings.alignment * _distance(alignment, lesson.alignment(alike, cosine), settings)


def rated_loss(
    network: MoEAGIQA, data: Data, lesson: Lesson, rows: np.ndarray, batch: np.ndarray, settings: Settings
) -> Tensor:
    """Alignment as raters saw it, and the order of clean and degraded pictures."""
    answer = assess(network, data, lesson.pictures[batch], rows[batch])
    alignment = score_of(answer, 'alignment')
    loss = settings.alignment * _distance(alignment, data.mos[rows[batch], 1], settings)
    has_degraded = rows[batch] % DEGRADED_EVERY == 0
    chosen = batch[has_degraded]
    seen = rows[chosen] // DEGRADED_EVERY
    degraded = lesson.pictures[chosen]._replace(
        reduced=lesson.reduce(lesson.degraded.degradation[seen]), image=lesson.degraded.image[seen]
    )
    worse = score_of(assess(network, data, degraded, rows[chosen]), 'quality')
    better = score_of(answer, 'quality')[torch.from_numpy(has_degraded)]
    return loss + settings.order * F.relu(worse - better + settings.margin).mean()


def _distance(score: Tensor, mos: Tensor, settings: Settings) -> Tensor:
    """L1, and how far from perfectly correlated the two are."""
    correlation = F.cosine_similarity(score - score.mean(), mos - mos.mean(), dim=0)
    return F.l1_loss(score, mos) + settings.correlation * (1 - correlation)


def assess(network: MoEAGIQA, data: Data, pictures: Pictures, texts: np.ndarray) -> Assessment:
    """The network's answer for pictures with the prompts of the given rows."""
    network.matching.image = pictures.embedding
    return network.assess(Features(pictures.reduced, None, pictures.image), data.ids(texts), data.mask[texts])


def score_of(answer: Assessment, target: str) -> Tensor:
    """(N,) scores."""
    return answer.targets[target].score.mean(dim=1)
