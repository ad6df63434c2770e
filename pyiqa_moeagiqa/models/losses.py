"""Losses that pyiqa does not have."""

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.1


def matching_loss(cosine: Tensor, ids: Tensor) -> Tensor:
    """Contrastive loss: an image prefers its own prompt to the batch's other prompts, and a prompt its image.

    Args:
        cosine: (N, N) of every image with every prompt.
        ids: (N, L2) token ids; equal prompts are no contrast to each other.

    Returns:
        The mean of both directions' cross entropies.
    """
    logits = cosine / TEMPERATURE
    same = (ids[:, None] == ids[None]).all(-1)
    own = torch.eye(len(ids), dtype=torch.bool, device=ids.device)
    logits = logits.masked_fill(same & ~own, float('-inf'))
    labels = torch.arange(len(ids), device=ids.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
