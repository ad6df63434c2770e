"""Losses that pyiqa does not have."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.1
SPREAD = 0.2  # deviation of a score, as a share of the MOS range: LIQE's 1 on a scale of 5
TINY = 1e-8  # keeps the gradients of roots finite


def matching_loss(image: Tensor, prompt: Tensor, ids: Tensor) -> Tensor:
    """Contrastive loss: an image prefers its own prompt to the batch's other prompts, and a prompt its image.

    Args:
        image, prompt: (N, d) embeddings of length 1.
        ids: (N, L2) token ids; pairs with equal prompts are not contrasted.

    Returns:
        The mean of both directions' cross entropies.
    """
    logits = image @ prompt.T / TEMPERATURE
    same = (ids[:, None] == ids[None]).all(-1)
    own = torch.eye(len(ids), dtype=torch.bool, device=ids.device)
    logits = logits.masked_fill(same & ~own, float('-inf'))
    labels = torch.arange(len(ids), device=ids.device)
    each = F.cross_entropy(logits, labels, reduction='none') + F.cross_entropy(logits.T, labels, reduction='none')
    return each.mean() / 2


def ranking_loss(score: Tensor, mos: Tensor, sets: Tensor) -> Tensor:
    r"""Pairwise ranking loss: the better image of each pair must score higher, by at least the difference in MOS.

    .. math:: \frac{1}{|P|} \sum_{(i, j) \in P} \max(0, (m_i - m_j) - (s_i - s_j)), \quad P = \{(i, j): m_i > m_j\}

    Only images of one set make a pair, as the scales of two sets cannot be compared.

    Args:
        score, mos: (N, 1), both in [0, 1].
        sets: (N,), the number of each image's set.

    Returns:
        The mean over pairs; 0 where no two MOS differ.
    """
    wanted, given = mos - mos.T, score - score.T
    better = (wanted > 0) & (sets[:, None] == sets)
    shortfall = F.relu(wanted - given) * better
    return shortfall.sum() / better.sum().clamp(min=1)


def fidelity_loss(score: Tensor, mos: Tensor, deviation: Tensor, sets: Tensor) -> Tensor:
    r"""Pairwise fidelity loss: how likely the raters find one image of a pair better, and how likely the scores do.

    .. math:: \frac{1}{|P|} \sum_{(i, j) \in P} 1 - \sqrt{p \hat p} - \sqrt{(1 - p)(1 - \hat p)}, \quad
        p = \Phi\Big(\frac{m_i - m_j}{\sqrt{d_i^2 + d_j^2}}\Big), \quad \hat p = \Phi\Big(\frac{s_i - s_j}{\sqrt 2 \, SPREAD}\Big)

    P are the pairs of images of one set, so sets with different scales can be trained together: UNIQUE (Zhang et al., TIP
    2021). Without deviations p is 0, 1/2 or 1, and all scores have one deviation: LIQE (Zhang et al., CVPR 2023).

    Args:
        score, mos: (N, 1), both in [0, 1].
        deviation: (N, 1), the raters' standard deviations on the scale of ``mos``; 0 if they are not known.
        sets: (N,), the number of each image's set.

    Returns:
        The mean over pairs, from 0 to 1; 0 where there is none.
    """
    normal = torch.special.ndtr
    p = normal((mos - mos.T) / (deviation**2 + (deviation**2).T).sqrt().clamp(min=TINY))
    given = normal((score - score.T) / (2**0.5 * SPREAD))
    each = 1 - (p * given + TINY).sqrt() - ((1 - p) * (1 - given) + TINY).sqrt()
    pairs = (sets[:, None] == sets).triu(diagonal=1)
    return (each * pairs).sum() / pairs.sum().clamp(min=1)


def loss_of_each_set(loss: Callable[[Tensor, Tensor], Tensor], score: Tensor, mos: Tensor, sets: Tensor) -> Tensor:
    """A loss on the scores of each set together, such as their correlation with MOS; averaged over the images.

    Args:
        loss: of the scores and MOS of one set.
        score, mos: (N, 1), both in [0, 1].
        sets: (N,), the number of each image's set; of several sets, one with a single image does not count.
    """
    groups = [sets == number for number in sets.unique()]
    if len(groups) == 1:
        return loss(score, mos)
    parts = [loss(score[rows], mos[rows]) * rows.sum() for rows in groups if rows.sum() > 1]
    return sum(parts, score.sum() * 0) / len(score)
