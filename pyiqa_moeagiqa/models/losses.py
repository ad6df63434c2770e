"""Losses that pyiqa does not have."""

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.1


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


def ranking_loss(score: Tensor, mos: Tensor) -> Tensor:
    r"""Pairwise ranking loss: the better image of each pair must score higher, by at least the difference in MOS.

    .. math:: \frac{1}{|P|} \sum_{(i, j) \in P} \max(0, (m_i - m_j) - (s_i - s_j)), \quad P = \{(i, j): m_i > m_j\}

    Args:
        score, mos: (N, 1), both in [0, 1].

    Returns:
        The mean over pairs; 0 where no two MOS differ.
    """
    wanted, given = mos - mos.T, score - score.T
    better = wanted > 0
    shortfall = F.relu(wanted - given) * better
    return shortfall.sum() / better.sum().clamp(min=1)
