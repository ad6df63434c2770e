"""How much of a picture's alignment counts, given how well prompt and picture match: the gate is fitted to right and wrong prompts.

AGIQA-3K has no picture with a wrong prompt. So each training picture comes again with another's prompt and an alignment near the
low end. The cosines are those of embeddings that saw no picture of the prompt: a gate trusts them as far as it may.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pyiqa_moeagiqa.archs.matching import PromptMatching

WRONG = 0.1  # the alignment of a picture with another's prompt
WRONG_WEIGHT = 0.2  # how much such a row counts beside one with its own prompt
OTHERS = 4  # wrong prompts of each picture
STEEPNESS = (4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
THRESHOLD = np.linspace(-0.2, 0.2, 17)


def fit(
    matching: PromptMatching, embeddings: Tensor, words: Tensor, prompt: np.ndarray, alignment: Tensor, seed: int
) -> None:
    """Set alignment's gate by least squares on a grid; the cosine itself adds nothing, and quality's gate stays open.

    Args:
        matching: gets its gate here; its embedding of prompts is fitted before.
        embeddings: (N, d) of training pictures.
        words: (P, E) mean words of all prompts.
        prompt: (N,) the number of each picture's prompt.
        alignment: (N,) in [0, 1].
    """
    with torch.no_grad():
        texts = F.normalize(matching.embed_prompt(words), dim=-1)
    cosine = F.normalize(embeddings, dim=-1) @ texts.T  # (N, P)
    random, there = np.random.default_rng(seed), np.unique(prompt)
    wrong = there[
        (np.searchsorted(there, prompt)[:, None] + random.integers(1, len(there), (len(prompt), OTHERS))) % len(there)
    ]
    own, other = cosine[np.arange(len(prompt)), prompt], cosine[np.arange(len(prompt))[:, None], wrong]
    steepness, threshold, gain = min(
        (
            _grid_point(own, other, alignment, steepness, threshold)
            for steepness in STEEPNESS
            for threshold in THRESHOLD
        ),
        key=lambda point: point[0],
    )[1:]
    with torch.no_grad():
        matching.weight.zero_()
        for part, value in zip(
            (matching.floor, matching.steepness, matching.threshold, matching.gain),
            (WRONG, steepness, threshold, gain),
            strict=True,
        ):
            part[1] = value


def _grid_point(
    own: Tensor, other: Tensor, alignment: Tensor, steepness: float, threshold: float
) -> tuple[float, float, float, float]:
    """The error of a gate, and its steepness, threshold and a gain that leaves the mean alignment as it is."""
    of_own, of_wrong = ((steepness * (cosine - threshold)).sigmoid() for cosine in (own, other))
    above = alignment - WRONG
    gain = float(above.sum() / (above * of_own).sum())
    # A picture's own part is not known here; its alignment stands for it, as the gate is to be 1 for what is well matched.
    right = (above * (1 - gain * of_own)).square().mean()
    return float(right + WRONG_WEIGHT * (above[:, None] * gain * of_wrong).square().mean()), steepness, threshold, gain
