"""Cross attention between the branches: visual features give queries, semantic ones keys and values (eq. 7-10)."""

import torch.nn.functional as F
from torch import Tensor, nn


class CrossAttention(nn.Module):
    r"""Multi-head attention of one sequence to another.

    .. math:: \mathrm{softmax}(Q K^T / \sqrt{d}) V, \quad Q = W_q x, \; K = W_k y, \; V = W_v y

    Args:
        channels: width of the sequence that gives queries, and of the output.
        context_channels: width of the sequence that gives keys and values.
        heads: number of heads; each has ``channels // heads`` channels.

    Shape:
        x (N, L1, C), context (N, L2, D) -> (N, L1, C)
    """

    def __init__(self, channels: int, context_channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context_channels, channels, bias=False)
        self.to_v = nn.Linear(context_channels, channels, bias=False)
        self.to_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = (self._split(t) for t in (self.to_q(x), self.to_k(context), self.to_v(context)))
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.to_out(attended.transpose(1, 2).flatten(2))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (N, heads, L, C / heads)


class Fusion(nn.Module):
    r"""Visual features enriched with semantic ones.

    .. math:: F = \mathrm{Norm}(M_v) + \mathrm{Attention}(\mathrm{Norm}(M_v), \mathrm{Norm}(M_s))

    Padded prompt tokens are not masked, because the released weights were trained that way.

    Shape:
        visual (N, L1, C), semantic (N, L2, C) -> (N, L1, C)
    """

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.norm_visual = nn.LayerNorm(channels)
        self.norm_semantic = nn.LayerNorm(channels)
        self.attention = CrossAttention(channels, channels, heads)

    def forward(self, visual: Tensor, semantic: Tensor) -> Tensor:
        visual = self.norm_visual(visual)
        return visual + self.attention(visual, self.norm_semantic(semantic))
