"""Training of what comes after the frozen encoders.

The linear score, the matching of prompts and its gate are solved for. The mixture of experts then learns what a straight line
cannot say: that damage makes a picture worse, and leaves what it shows as it is. On undamaged pictures it is held near zero.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.experts import ExpertScores
from pyiqa_moeagiqa.archs.matching import mean_word
from pyiqa_moeagiqa.archs.moeagiqa_arch import Features, MoEAGIQA, image_means, mean_over_crops

from . import gate, match, ridge
from .data import SIDES, Data
from .reduction import Reduction

# What is left of a picture's quality after damage of strength 0 to 4. Nobody rated them: only the order is sure.
LEFT = torch.tensor([0.93, 0.82, 0.68, 0.52, 0.38])

REDUCED_FROM = 4  # of so many images one tells the principal components


@dataclass(frozen=True)
class Settings:
    """Of the mixture's training."""

    steps: int = 300
    images: int = 16
    photos: int = 8
    rate: float = 1e-3
    weight_decay: float = 0.05
    average: float = 0.97
    still: float = 0.002  # by so much an undamaged picture's score may change for nothing
    hold: float = 20.0


class Pictures:
    """What training sees of pictures, ready for the network: FFN_v's input after its first convolution.

    Args:
        features: the encoders'.
        network: gives the means for the linear score, and the summaries that are matched with prompts.
        view, crops: FFN_v's first convolutions.
    """

    def __init__(self, features: Features, network: MoEAGIQA, view: Reduction, crops: Reduction):
        degradation = features.degradation
        self.means = degradation.mean(dim=(3, 4))
        self.reduced = torch.cat([view(degradation[:, :1]), crops(degradation[:, 1:])], dim=1)
        self.image = features.image
        with torch.no_grad():
            self.embedding = network.matching.embed_image(network.summary(features))


class Lesson:
    """The pictures to train on and all that is solved for.

    Args:
        network: gets its linear score, matching and gate here.
        data: all pictures.
        rows: the images to train on.
        seed: of the division in which embeddings of unseen pictures are found.
    """

    def __init__(self, network: MoEAGIQA, data: Data, rows: np.ndarray, seed: int):
        self.data, self.rows = data, rows
        solve_for(network, data, rows, seed)
        clean, hidden = data.features('clean', rows), network.config.hidden
        self.view, self.crops = (
            Reduction(clean.degradation[::REDUCED_FROM, part], hidden) for part in (slice(0, 1), slice(1, None))
        )
        place = _places(rows, len(data.table))
        copies = np.flatnonzero(place[data.damaged['row']] >= 0)
        self.copy_of = torch.from_numpy(place[data.damaged['row'].to_numpy()[copies]])
        self.copy_left = LEFT[data.damaged['strength'].to_numpy()[copies].copy()]
        photos = data.photos[~data.photos['reported']]
        still, hurt = photos[photos['kind'] == ''], photos[photos['kind'] != '']
        first = {file: number for number, file in enumerate(still['file']) if still['side'].iloc[number] == SIDES[0]}
        self.photo_of = torch.tensor([first[file] for file in hurt['file']])
        self.photo_left = LEFT[hurt['strength'].to_numpy().copy()]
        self.clean = self._pictures(network, clean)
        self.copies = self._pictures(network, data.features('damaged', copies))
        self.photos = self._pictures(network, data.features('photos', still.index.to_numpy()))
        self.hurt = self._pictures(network, data.features('photos', hurt.index.to_numpy()))

    def _pictures(self, network: MoEAGIQA, features: Features) -> Pictures:
        return Pictures(features, network, self.view, self.crops)


def _places(rows: np.ndarray, count: int) -> np.ndarray:
    """(count,) the place of each number in ``rows``, or -1."""
    place = np.full(count, -1)
    place[rows] = np.arange(len(rows))
    return place


def solve_for(network: MoEAGIQA, data: Data, rows: np.ndarray, seed: int) -> None:
    """Set all that has a solution: the linear score, the matching, its gate. The experts say nothing yet."""
    mos, prompt = data.mos[rows], data.prompt[rows].numpy()
    words = mean_word(network.semantic.text.states, data.prompt_mask)
    photos = data.photos[(data.photos['kind'] == '') & ~data.photos['reported']].index.to_numpy()
    means = image_means(data.seen['clean']['means'][rows], network.config)
    of_photos = image_means(data.seen['photos']['means'][photos], network.config)
    copies = np.flatnonzero(data.damaged['row'].isin(rows))
    of_copies = image_means(data.seen['damaged']['means'][copies], network.config)
    copies_mos = data.mos[data.damaged['row'].to_numpy()[copies]].clone()
    copies_mos[:, 0] *= LEFT[data.damaged['strength'].to_numpy()[copies].copy()]
    family = data.table['family'].to_numpy()[rows]
    ridge.fit(network.linear, network.config, means, mos, family, of_photos, of_copies, copies_mos)
    with torch.no_grad():
        network.novelty.mean.copy_(means.mean(0))
        network.novelty.deviation.copy_(means.std(0).clamp(min=1e-3))
    summary = network.summary(data.features('clean', rows, places=False))
    unseen = match.unseen_embeddings(network.matching, summary, words, prompt, mos[:, 1], seed)
    match.fit(network.matching, summary, words, prompt, mos[:, 1])
    gate.fit(network.matching, unseen, words, prompt, mos[:, 1], seed)
    still(network)


def train(network: MoEAGIQA, data: Data, rows: np.ndarray, seed: int, settings: Settings) -> MoEAGIQA:
    """Train on ``rows``; returns the average of the weights over the last steps."""
    torch.manual_seed(seed)
    lesson = Lesson(network, data, rows, seed)
    network.view_ffn.reduce, network.local_ffn.reduce = nn.Identity(), nn.Identity()
    for part in (network.linear, network.matching):
        part.requires_grad_(False)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, settings.rate, weight_decay=settings.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=settings.steps, pct_start=0.1)
    average = copy.deepcopy(network).eval()
    network.train()
    for step, loss in enumerate(losses(network, lesson, np.random.default_rng(seed), settings)):
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        follow(average, network, min(settings.average, step / (step + 10)))
    average.view_ffn.reduce, average.local_ffn.reduce = lesson.view.as_convolution(), lesson.crops.as_convolution()
    return average


def still(network: MoEAGIQA) -> None:
    """Let the experts say nothing: the network is the linear score then."""
    for mixture in network.experts.values():
        for expert in mixture.experts:
            nn.init.zeros_(expert[-1].weight)
            nn.init.zeros_(expert[-1].bias)


@torch.no_grad()
def follow(average: MoEAGIQA, network: MoEAGIQA, keep: float) -> None:
    """Move the averaged weights towards the trained ones."""
    for mean, trained in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(trained, 1 - keep)


def losses(network: MoEAGIQA, lesson: Lesson, random: np.random.Generator, settings: Settings) -> Iterator[Tensor]:
    """The loss of each step: on images of AGIQA-3K and copies of others, on photographs and copies of others."""
    own, count = lesson.data.prompt[lesson.rows], len(lesson.rows)
    for _ in range(settings.steps):
        some = _draw(count, settings.images, random)
        loss = settings.hold * hold(network, lesson, lesson.clean, some, _half(own[some], own, random), settings)
        some = _draw(len(lesson.copy_of), settings.images, random)
        of, left = lesson.copy_of[some], lesson.copy_left[some]
        loss = loss + damage(
            network, lesson, (lesson.copies, some), (lesson.clean, of), _half(own[of], own, random), left
        )
        some = _draw(len(lesson.photos.image), settings.photos, random)
        texts = own[_draw(count, settings.photos, random)]
        loss = loss + settings.hold * hold(network, lesson, lesson.photos, some, texts, settings)
        some = _draw(len(lesson.photo_of), settings.photos, random)
        of, left = lesson.photo_of[some], lesson.photo_left[some]
        yield loss + damage(network, lesson, (lesson.hurt, some), (lesson.photos, of), texts, left)


def _draw(count: int, size: int, random: np.random.Generator) -> Tensor:
    return torch.from_numpy(random.choice(count, size, replace=False))


def _half(texts: Tensor, prompts: Tensor, random: np.random.Generator) -> Tensor:
    """Every other picture keeps its own prompt, the rest are given any."""
    any_other = prompts[_draw(len(prompts), len(texts), random)]
    return torch.where(torch.arange(len(texts)) % 2 == 0, texts, any_other)


def hold(
    network: MoEAGIQA, lesson: Lesson, pictures: Pictures, some: Tensor, texts: Tensor, settings: Settings
) -> Tensor:
    """How far the mixture moves undamaged pictures' scores, beyond ``still``."""
    moved = assess(network, lesson, pictures, some, texts) - without_experts(network, lesson, pictures, some, texts)
    return F.relu(moved.abs() - settings.still).mean()


def damage(
    network: MoEAGIQA, lesson: Lesson, copies: tuple[Pictures, Tensor], originals: tuple[Pictures, Tensor], texts: Tensor,
    left: Tensor,
) -> Tensor:  # fmt: skip
    """L1 to the quality that is left of the original's, and to its alignment, of which all is left."""
    scores, before = assess(network, lesson, *copies, texts), without_experts(network, lesson, *originals, texts)
    return F.l1_loss(scores[:, 0], before[:, 0] * left) + 0.5 * F.l1_loss(scores[:, 1], before[:, 1])


def assess(network: MoEAGIQA, lesson: Lesson, pictures: Pictures, some: Tensor, texts: Tensor) -> Tensor:
    """(n, 2) scores of pictures with prompts."""
    config, ids, mask = network.config, lesson.data.ids(texts), lesson.data.prompt_mask[texts]
    features = Features(pictures.reduced[some], None, pictures.image[some])
    semantic = network.project_semantic(network.semantic.attend(network.semantic.words(ids, mask), features.image))
    fused = network.fusion(network.visual_tokens(features), semantic).unflatten(1, (1 + config.crops, -1)).mean(dim=2)
    answer = network.judge(fused, pictures.means[some], _matching(network, lesson, pictures, some, texts))
    return scores_of(answer.targets, config)


@torch.no_grad()
def without_experts(network: MoEAGIQA, lesson: Lesson, pictures: Pictures, some: Tensor, texts: Tensor) -> Tensor:
    """(n, 2) scores of pictures with prompts by the linear score and the gate alone."""
    means, (image, prompt) = pictures.means[some], _matching(network, lesson, pictures, some, texts)
    nothing = torch.zeros(means.shape[:2])
    silent = {target: ExpertScores(nothing, nothing, nothing) for target in network.config.targets}
    targets = network.matching.add_to(network.linear.add_to(silent, means), (image * prompt).sum(dim=1))
    return scores_of(targets, network.config)


def _matching(
    network: MoEAGIQA, lesson: Lesson, pictures: Pictures, some: Tensor, texts: Tensor
) -> tuple[Tensor, Tensor]:
    mask = lesson.data.prompt_mask[texts]
    prompt = network.matching.embed_prompt(mean_word(network.semantic.words(lesson.data.ids(texts), mask), mask))
    return F.normalize(pictures.embedding[some], dim=-1), F.normalize(prompt, dim=-1)


def scores_of(targets: dict[str, ExpertScores], config: MoEAGIQAConfig) -> Tensor:
    """(N, targets)."""
    return torch.cat([mean_over_crops(part.score, config) for part in targets.values()], dim=1)
