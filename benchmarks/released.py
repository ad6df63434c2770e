"""MoE-AGIQA v2 as the released implementation scores and trains it, in plain torch, from its description.

Only what decides cost and scores is here: no data loading, no validation. The description leaves two things open, which
are arguments of ``Released``; everything else is as it says, down to what a step computes in vain: the last four blocks
of the ViT of eq. 3, and blocks of the prior's ViT that are equal to those.
"""

from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch

import timm
import torch
from torch import Tensor, nn

from pyiqa_moeagiqa.archs import blip
from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.images.views import normalize

TEXT_DROPOUT = 0.1  # of BERT, which ImageReward's text encoder is
RATE, SWING = 1e-5, 50
VITS = ('visual.', 'prior.')


class CrossAttention(nn.Module):
    """Eq. 7-9: x (N, L1, C) asks, context (N, L2, C) answers."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads, self.scale = heads, (channels // heads) ** -0.5
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(channels, channels, bias=False)
        self.to_v = nn.Linear(channels, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = (self._split(t) for t in (self.to_q(x), self.to_k(context), self.to_v(context)))
        weights = (q @ k.transpose(-1, -2) * self.scale).softmax(dim=-1)  # (N, heads, L1, L2)
        return self.to_out((weights @ v).transpose(1, 2).flatten(2))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (N, heads, L, C / heads)


class Expert(nn.Module):
    """One of eq. 12's experts: (N, C) -> (N, 1)."""

    def __init__(self, channels: int):
        super().__init__()
        self.project = nn.Sequential(nn.Linear(channels, channels), nn.GELU(), nn.Linear(channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.project(x)


class Regressor(nn.Module):
    """All after the encoders: eq. 2 and 5-12. Its tensors have the released checkpoints' names.

    Shape:
        degradation (N, layers * D, h, w), prior (N, D), text (N, L2, E) -> score (N,)
    """

    def __init__(self, config: MoEAGIQAConfig, visual_width: int, text_width: int, grid: tuple[int, int]):
        super().__init__()
        channels = config.channels
        self.top_k = config.top_k
        self.down_channel = nn.Conv2d(len(config.layers) * visual_width, config.hidden, 1)
        self.conv = nn.Sequential(nn.Conv2d(config.hidden, channels, 3, padding=1), nn.ReLU())
        self.proj_prior = nn.Parameter(torch.zeros(visual_width, channels))
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 4), nn.GELU(), nn.Linear(channels // 4, channels), nn.Sigmoid()
        )
        self.weight1 = nn.Parameter(torch.zeros(1, channels, *grid))
        self.weight2 = nn.Parameter(torch.zeros(1, channels, *grid))
        self.proj = nn.Parameter(torch.zeros(text_width, channels))
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.cross_attention = CrossAttention(channels, config.heads)
        self.gating_network = nn.Sequential(nn.Linear(channels, config.experts), nn.Softmax(dim=-1))
        self.proj_experts = nn.ModuleList(Expert(channels) for _ in range(config.experts))

    def forward(self, degradation: Tensor, prior: Tensor, text: Tensor) -> Tensor:
        visual = self.conv(self.down_channel(degradation))
        gate = self.fc(prior @ self.proj_prior)[:, :, None, None]
        visual = visual * self.weight1 + visual * gate * self.weight2
        visual = self.norm1(visual.flatten(2).transpose(1, 2))  # (N, L1, C)
        fused = visual + self.cross_attention(visual, self.norm2(text @ self.proj))
        return self._mixture(fused.mean(dim=1))

    def _mixture(self, pooled: Tensor) -> Tensor:
        weights, chosen = self.gating_network(pooled).topk(self.top_k)
        scores = torch.cat([expert(pooled) for expert in self.proj_experts], dim=-1)
        return (scores.gather(-1, chosen) * weights).sum(dim=-1)


class Released(nn.Module):
    """The released v2.

    Args:
        config: sizes; of its options only those are read that the released implementation has.
        semantic: ImageReward's BLIP. Ours is bit-identical to it, so a benchmark can hand over the one it has.

    Shape:
        crops (N, n, 3, S, S) and view (N, 3, V, V) in [0, 1], ids and mask (N, L2) -> scores (N, n)
    """

    def __init__(self, config: MoEAGIQAConfig, semantic: blip.BlipSemantic):
        super().__init__()
        self.semantic = semantic
        self.semantic.freeze(config.frozen_share)
        for module in semantic.text.modules():
            if isinstance(module, nn.Dropout):
                module.p = TEXT_DROPOUT
        self.visual, self.prior = (_vit(config) for _ in range(2))
        self.taken: list[Tensor] = []
        for layer in config.layers:
            self.visual.blocks[layer - 1].register_forward_hook(lambda _, __, tokens: self.taken.append(tokens))
        self.grid = self.visual.patch_embed.grid_size
        self.regressor = Regressor(config, self.visual.num_features, semantic.width, self.grid)
        self.keep_gradients_in_vits(False)

    def keep_gradients_in_vits(self, wanted: bool) -> None:
        """Decide what the description leaves open: whether no optimizer has the frozen ViTs, but their gradients are computed.

        Where one figure is given, they are not: no reading of the description makes the released way cheaper.
        """
        for vit in (self.visual, self.prior):
            vit.requires_grad_(wanted)

    def forward(self, crops: Tensor, view: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        text = self._text(view, ids, mask)  # once for all crops of an image
        return torch.stack([self._score(crop, text) for crop in crops.unbind(1)], dim=1)

    def _score(self, crop: Tensor, text: Tensor) -> Tensor:
        return self.regressor(self._degradation(crop), self.prior.forward_features(crop)[:, 0], text)

    def _degradation(self, crop: Tensor) -> Tensor:
        """Eq. 3, from what the hooks keep while all twelve blocks run: (N, layers * D, h, w)."""
        self.taken.clear()
        self.visual.forward_features(crop)
        patches = torch.cat([tokens[:, 1:] for tokens in self.taken], dim=-1)
        self.taken.clear()
        return patches.transpose(1, 2).unflatten(2, self.grid)

    def _text(self, view: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Eq. 4."""
        pixels = normalize(view, self.semantic.mean, self.semantic.std)
        with patch.object(blip, 'fused_attention_pays', return_value=False):  # image-reward 1.5 writes attention out
            image = self.semantic.image_features(pixels)
        return self.semantic.text_features(ids, mask, image)


def _vit(config: MoEAGIQAConfig) -> nn.Module:
    options = dict(num_classes=0, img_size=config.crop_size) | config.visual_options
    vit = timm.create_model(config.visual, pretrained=False, **options)
    for block in vit.blocks:
        block.attn.fused_attn = False  # timm 0.6.13, which the released implementation has, writes attention out
    return vit


class ReleasedStep:
    """One step after another: L1 on the mean of the crops' scores, Adam, a cosine that swings with T_max 50."""

    def __init__(self, network: Released):
        self.network = network
        trained = [p for name, p in network.named_parameters() if p.requires_grad and not name.startswith(VITS)]
        self.optimizer = torch.optim.Adam(trained, lr=RATE)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=SWING)

    def __call__(self, batch: Mapping[str, Tensor], autocast: Callable[[], Any]) -> float:
        self.network.train()  # on the whole: dropout is on in frozen layers too
        with autocast():
            scores = self.network(*(batch[name] for name in ('crops', 'view', 'ids', 'mask')))
            loss = (scores.mean(dim=1, keepdim=True) - batch['mos_label']).abs().mean()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.network.zero_grad(set_to_none=True)
        return loss.item()
