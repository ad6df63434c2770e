"""A gate weighs expert scores; the score is the sum over the best-weighted k of n experts (eq. 11-12)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class ExpertScores(NamedTuple):
    """The mixture's score (...), its gate (..., n) and the chosen experts (..., k), best-weighted first."""

    score: Tensor
    gate: Tensor
    chosen: Tensor


class MixtureOfExperts(nn.Module):
    r"""One score per feature vector from k of n expert networks.

    .. math:: g = \mathrm{softmax}(W x), \quad s = \sum_{i \in \mathrm{top}_k(g)} g_i \, E_i(x)

    The weights of the chosen experts are not renormalised, as in the released implementation. All experts are
    computed and the unchosen ones masked, so that every parameter has a gradient (distributed training needs it).
    ``experts=1`` is the network without mixture: its gate is 1.

    Args:
        channels: width of the feature vector and of each expert's hidden layer.
        experts: n, at least 1.
        top_k: k, from 1 to n.

    Shape:
        (..., C) -> score (...)
    """

    def __init__(self, channels: int, experts: int, top_k: int):
        super().__init__()
        self.top_k = top_k
        self.gate = nn.Linear(channels, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(channels, channels), nn.GELU(), nn.Linear(channels, 1)) for _ in range(experts)
        )

    def forward(self, features: Tensor) -> ExpertScores:
        gate = self.gate(features).softmax(dim=-1)
        chosen = gate.topk(self.top_k).indices
        mask = torch.zeros_like(gate).scatter(-1, chosen, 1)
        scores = torch.cat([expert(features) for expert in self.experts], dim=-1)
        return ExpertScores((scores * gate * mask).sum(dim=-1), gate, chosen)
