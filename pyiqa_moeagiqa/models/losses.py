"""Losses that pyiqa does not have."""

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.1


def matching_loss(cosine: Tensor, ids: Tensor, weight: Tensor | None = None) -> Tensor:
    """Contrastive loss: an image prefers its own prompt to the batch's other prompts, and a prompt its image.

    Args:
        cosine: (N, N) of every image with every prompt.
        ids: (N, L2) token ids; equal prompts are no contrast to each other.
        weight: (N,) how well each image fits its prompt, such as its alignment MOS; default: all the same.

    Returns:
        The mean of both directions' cross entropies.
    """
    logits = cosine / TEMPERATURE
    same = (ids[:, None] == ids[None]).all(-1)
    own = torch.eye(len(ids), dtype=torch.bool, device=ids.device)
    logits = logits.masked_fill(same & ~own, float('-inf'))
    labels = torch.arange(len(ids), device=ids.device)
    each = F.cross_entropy(logits, labels, reduction='none') + F.cross_entropy(logits.T, labels, reduction='none')
    return (each if weight is None else each * weight / weight.mean()).mean() / 2
