"""Networks that have not seen a prompt, or neither a prompt nor a family of generators, and what they say of pictures of these."""

import copy
import os
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pyiqa_moeagiqa.archs.moeagiqa_arch import Features, MoEAGIQA, image_means

from .data import Data, Words
from .train import Settings, scores_of, still, train

FOLDS = 5
OTHERS = 4  # wrong prompts that each picture is tried with
SEED = 2024
MOST_AT_ONCE = 4  # each takes some 3 GB


@dataclass
class Answers:
    """What networks say of every image while it was unseen; N images, scores of quality and alignment.

    Attributes:
        scores: (N, 2).
        wrong: (N, 2) with the prompts of other unseen images, the mean of ``OTHERS``.
        own_prompt: (N,) share of the other unseen prompts that match the image less than its own.
        silent: (N, 2) scores without the mixture of experts.
        damaged: (copies, 2) of damaged copies, with their own prompts.
        distance: (N,) from the training pictures, see ``Novelty.squared``.
    """

    scores: np.ndarray
    wrong: np.ndarray
    own_prompt: np.ndarray
    silent: np.ndarray
    damaged: np.ndarray
    distance: np.ndarray


def folds(data: Data) -> np.ndarray:
    """(N,) fold of each image; a prompt's images are in one fold."""
    count = int(data.prompt.max()) + 1
    return (np.random.RandomState(SEED).permutation(count) % FOLDS)[data.prompt.numpy()]


def reported(data: Data) -> np.ndarray:
    """(N,) whether an image's prompt is in the half by which nothing was chosen."""
    count = int(data.prompt.max()) + 1
    return ~(np.random.RandomState(11).permutation(count) < count // 2)[data.prompt.numpy()]


def fresh(network: MoEAGIQA, words: Words, seed: int) -> MoEAGIQA:
    """Build a network with new parts after the encoders. It has no encoders: features and prompts' words are looked up."""
    torch.manual_seed(seed)
    new = MoEAGIQA(network.config)
    new.visual, new.semantic.text = nn.Identity(), words
    new.frozen.clear()  # this list still holds the encoders
    return new


_job: list = []


def in_parallel(network: MoEAGIQA, data: Data, words: Words, settings: Settings, parts: list) -> list:
    """Train a network on each pair's training rows and ask it about the held rows, one process per processor."""
    torch.multiprocessing.set_sharing_strategy('file_system')  # the default strategy keeps a file open for each tensor
    _job[:] = [network, data, words, settings, parts]  # forked processes share it, where an argument would be copied
    with torch.multiprocessing.get_context('fork').Pool(min(MOST_AT_ONCE, os.cpu_count())) as pool:
        return pool.map(_train_and_ask, range(len(parts)), chunksize=1)


def _train_and_ask(number: int) -> tuple[MoEAGIQA, dict[str, np.ndarray]]:
    network, data, words, settings, parts = _job
    torch.set_num_threads(1)
    rows, held = parts[number]
    trained = train(fresh(network, words, number), data, rows, number, settings)
    return trained, ask(trained, data, held)


@torch.inference_mode()
def ask(network: MoEAGIQA, data: Data, held: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of ``Answers`` for held rows, and of their damaged copies; their prompts are among themselves."""
    prompts, own = data.prompt[held], np.unique(data.prompt[held])
    copies = np.flatnonzero(data.damaged['row'].isin(held))
    features = data.features('clean', held)
    of_copies = data.prompt[data.damaged['row'].to_numpy()[copies]]
    random = np.random.default_rng(0)
    wrong = [_another(prompts, own, random) for _ in range(OTHERS)]
    return {
        'scores': score(network, data, features, prompts),
        'wrong': np.mean([score(network, data, features, some) for some in wrong], axis=0),
        'own_prompt': _own_prompt(network, data, features, prompts, own),
        'silent': score(silenced(network), data, features, prompts),
        'distance': network.novelty.squared(image_means(features.degradation.mean(dim=(3, 4)), network.config)).numpy(),
        'copies': copies,
        'damaged': score(network, data, data.features('damaged', copies), of_copies),
    }


def silenced(network: MoEAGIQA) -> MoEAGIQA:
    """The network with experts that say nothing."""
    network = copy.deepcopy(network)
    still(network)
    return network


def _another(prompts: Tensor, own: np.ndarray, random: np.random.Generator) -> Tensor:
    place = np.searchsorted(own, prompts.numpy())
    return torch.from_numpy(own[(place + random.integers(1, len(own), len(place))) % len(own)])


def score(network: MoEAGIQA, data: Data, features: Features, prompts: Tensor) -> np.ndarray:
    """(n, 2) scores of pictures with prompts."""
    answers = []
    for some in torch.arange(len(prompts)).split(64):
        part = Features(features.degradation[some], None, features.image[some])
        answer = network.assess(part, data.ids(prompts[some]), data.prompt_mask[prompts[some]])
        answers.append(scores_of(answer.targets, network.config))
    return torch.cat(answers).numpy() if answers else np.zeros((0, 2), np.float32)


def _own_prompt(network: MoEAGIQA, data: Data, features: Features, prompts: Tensor, own: np.ndarray) -> np.ndarray:
    texts = torch.from_numpy(own)
    words = network.semantic.words(data.ids(texts), data.prompt_mask[texts])
    image, prompt = network.matching(network.summary(features), words, data.prompt_mask[texts])
    cosine = image @ prompt.T
    mine = cosine[torch.arange(len(prompts)), torch.from_numpy(np.searchsorted(own, prompts.numpy()))]
    return ((mine[:, None] > cosine).sum(1) / (len(own) - 1)).numpy()


def gathered(parts: list[tuple[np.ndarray, np.ndarray]], answers: list[dict[str, np.ndarray]], data: Data) -> Answers:
    """All parts' answers, image by image."""
    shapes = {'scores': 2, 'wrong': 2, 'silent': 2}
    whole = {name: np.full((len(data.table), width), np.nan) for name, width in shapes.items()}
    whole |= {name: np.full(len(data.table), np.nan) for name in ('own_prompt', 'distance')}
    damaged = np.full((len(data.damaged), 2), np.nan)
    for (_, held), part in zip(parts, answers, strict=True):
        for name, array in whole.items():
            array[held] = part[name]
        damaged[part['copies']] = part['damaged']
    return Answers(**whole, damaged=damaged)


def unseen_prompts(data: Data) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and held rows of each fold."""
    fold = folds(data)
    return [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(FOLDS)]


def unseen_families(data: Data) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and held rows of each fold and family: neither prompt nor family was seen."""
    fold, family = folds(data), data.table['family'].to_numpy()
    return [
        (np.flatnonzero((fold != number) & (family != one)), np.flatnonzero((fold == number) & (family == one)))
        for number in range(FOLDS)
        for one in pd.unique(family)
    ]
