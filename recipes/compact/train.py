"""Training of what comes after the frozen encoders.

The linear score, the matching of prompts and its gate are solved for. The mixture of experts then learns what a straight line
cannot say: that damage makes a picture worse, and leaves what it shows as it is. On undamaged pictures it is held at zero.
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

    steps: int = 800
    clean: int = 48
    damaged: int = 48
    rate: float = 1e-3
    weight_decay: float = 0.05
    average: float = 0.99
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
        clean = data.features('clean', rows)
        words = mean_word(network.semantic.text.states, data.prompt_mask)
        solve_for(network, data, rows, clean, words, seed)
        hidden = network.config.hidden
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


def solve_for(network: MoEAGIQA, data: Data, rows: np.ndarray, clean: Features, words: Tensor, seed: int) -> None:
    """Set all that has a solution: the linear score, the matching, its gate."""
    mos, prompt = data.mos[rows], data.prompt[rows].numpy()
    photos = data.photos[(data.photos['kind'] == '') & ~data.photos['reported']].index.to_numpy()
    means = image_means(clean.degradation.mean(dim=(3, 4)), network.config)
    of_photos = image_means(data.features('photos', photos).degradation.mean(dim=(3, 4)), network.config)
    ridge.fit(network.linear, network.config, means, mos, data.table['family'].to_numpy()[rows], of_photos)
    with torch.no_grad():
        network.novelty.mean.copy_(means.mean(0))
        network.novelty.deviation.copy_(means.std(0).clamp(min=1e-3))
    summary = network.summary(clean)
    unseen = match.unseen_embeddings(network.matching, summary, words, prompt, mos[:, 1], seed)
    match.fit(network.matching, summary, words, prompt, mos[:, 1])
    gate.fit(network.matching, unseen, words, prompt, mos[:, 1], seed)


def train(network: MoEAGIQA, data: Data, rows: np.ndarray, seed: int, settings: Settings) -> MoEAGIQA:
    """Train on ``rows``; returns the average of the weights over the last steps."""
    torch.manual_seed(seed)
    lesson = Lesson(network, data, rows, seed)
    still(network)
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
    """The loss of each step: half of the pictures are AGIQA-3K's and copies of them, half are photographs."""
    prompts = torch.from_numpy(np.unique(lesson.data.prompt[lesson.rows]))
    own = lesson.data.prompt[lesson.rows]
    for _ in range(settings.steps):
        some = torch.from_numpy(random.choice(len(own), settings.clean, replace=False))
        texts = torch.where(
            torch.from_numpy(random.random(len(some)) < 0.5), own[some], _any(prompts, len(some), random)
        )
        undamaged = hold(network, lesson, lesson.clean, some, texts, settings)
        some = torch.from_numpy(random.choice(len(lesson.copy_of), settings.damaged, replace=False))
        of = lesson.copy_of[some]
        texts = torch.where(torch.from_numpy(random.random(len(some)) < 0.5), own[of], _any(prompts, len(some), random))
        hurt = damage(network, lesson, (lesson.copies, some), (lesson.clean, of), texts, lesson.copy_left[some])
        some = torch.from_numpy(random.choice(len(lesson.photos.image), settings.clean // 3))
        undamaged = undamaged + hold(network, lesson, lesson.photos, some, _any(prompts, len(some), random), settings)
        some = torch.from_numpy(random.choice(len(lesson.photo_of), settings.damaged // 2))
        texts, left = _any(prompts, len(some), random), lesson.photo_left[some]
        hurt = hurt + damage(network, lesson, (lesson.hurt, some), (lesson.photos, lesson.photo_of[some]), texts, left)
        yield settings.hold * undamaged + hurt


def _any(prompts: Tensor, count: int, random: np.random.Generator) -> Tensor:
    return prompts[torch.from_numpy(random.integers(len(prompts), size=count))]


def hold(
    network: MoEAGIQA, lesson: Lesson, pictures: Pictures, some: Tensor, texts: Tensor, settings: Settings
) -> Tensor:
    """How far the mixture moves undamaged pictures' scores, beyond ``still``."""
    scores, without = assess(network, lesson, pictures, some, texts)
    return F.relu((scores - without).abs() - settings.still).mean()


def damage(
    network: MoEAGIQA, lesson: Lesson, copies: tuple[Pictures, Tensor], originals: tuple[Pictures, Tensor], texts: Tensor,
    left: Tensor,
) -> Tensor:  # fmt: skip
    """L1 to the quality that is left of the original's, and to its alignment, of which all is left."""
    scores, _ = assess(network, lesson, *copies, texts)
    with torch.no_grad():
        _, before = assess(network, lesson, *originals, texts)
    return F.l1_loss(scores[:, 0], before[:, 0] * left) + 0.5 * F.l1_loss(scores[:, 1], before[:, 1])


def assess(network: MoEAGIQA, lesson: Lesson, pictures: Pictures, some: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 2) scores of pictures with prompts, and what they would be without the mixture."""
    config, ids, mask = network.config, lesson.data.ids(texts), lesson.data.prompt_mask[texts]
    features = Features(pictures.reduced[some], None, pictures.image[some])
    words = network.semantic.words(ids, mask)
    semantic = network.project_semantic(network.semantic.attend(words, features.image))
    fused = network.fusion(network.visual_tokens(features), semantic).unflatten(1, (1 + config.crops, -1)).mean(dim=2)
    prompt = F.normalize(network.matching.embed_prompt(mean_word(words, mask)), dim=-1)
    matching = F.normalize(pictures.embedding[some], dim=-1), prompt
    answer = network.judge(fused, pictures.means[some], matching)
    silent = {name: ExpertScores(torch.zeros_like(part.score), *part[1:]) for name, part in answer.targets.items()}
    without = network.linear.add_to(silent, pictures.means[some])
    without = network.matching.add_to(without, (matching[0] * matching[1]).sum(dim=1))
    return scores_of(answer.targets, config), scores_of(without, config)


def scores_of(targets: dict[str, ExpertScores], config: MoEAGIQAConfig) -> Tensor:
    """(N, targets)."""
    return torch.cat([mean_over_crops(part.score, config) for part in targets.values()], dim=1)
