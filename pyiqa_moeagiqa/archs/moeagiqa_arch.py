"""MoE-AGIQA: how good is this AI-generated image for this prompt?

Paper: J. Yang et al., "MoE-AGIQA: Mixture-of-Experts Boosted Visual Perception-Driven and Semantic-Aware Quality
Assessment for AI-Generated Images", CVPR Workshops 2024. Official code: https://github.com/37s/MoE-AGIQA. Written anew from
the paper's equations; the defaults reproduce the released implementation's arithmetic, so that its checkpoints can be
converted. Other than there, dropout is off in frozen parts and any timm ViT or BERT can take the place of a branch.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import MoEAGIQAConfig
from .degradation import LocalFFN, PriorInjection, build_vit, class_token, layer_features
from .experts import ExpertScores, MixtureOfExperts
from .fusion import Fusion
from .matching import PromptMatching
from .semantic import BertSemantic, BlipSemantic
from .views import normalize


class Features(NamedTuple):
    """What the encoders see: ``degradation`` (N * n, len(layers) * D, h, w) and ``prior`` (N * n, D) of the n crops,
    ``image`` (N, tokens, D) of the semantic view; None where a branch is switched off."""

    degradation: Tensor | None
    prior: Tensor | None
    image: Tensor | None


class MoEAGIQA(nn.Module):
    """The network: crops, semantic view and prompt tokens in, one score per crop and target out.

    Args:
        config: the configuration, or its fields as keyword arguments.

    Shape:
        crops (N, n, 3, S, S) and view (N, 3, V, V) in [0, 1], ids and mask (N, L2) -> for each target
        ExpertScores of score (N, n), gate (N, n, experts), chosen (N, n, k). The score is a MOS scaled to [0, 1].

    Example:
        >>> network = MoEAGIQA(visual='vit_tiny_patch16_224', layers=[3], branches='visual', prior=False).eval()
        >>> network(torch.rand(1, 2, 3, 224, 224), None, None, None)['quality'].score.shape
        torch.Size([1, 2])
    """

    def __init__(self, config: MoEAGIQAConfig | None = None, **options: Any):
        super().__init__()
        self.config = config = config or MoEAGIQAConfig.from_options(options)
        self.view_size, self.view_mean, self.view_std = config.crop_size, config.pixel_mean, config.pixel_std
        if self.needs_vit:
            self.visual = build_vit(config.visual, img_size=config.crop_size, **config.visual_options)
            self._check_layers()
            self.visual.requires_grad_(False)
        if config.branches != 'semantic':
            self.local_ffn = LocalFFN(len(config.layers) * self.visual.num_features, config.hidden, config.channels)
            if config.prior:
                self.prior = build_vit(config.visual, img_size=config.crop_size, **config.visual_options)
                grid = self.prior.patch_embed.grid_size
                self.inject = PriorInjection(self.prior.num_features, config.channels, grid)
        if config.branches != 'visual':
            self._build_semantic(config)
        if config.branches == 'both':
            self.fusion = Fusion(config.channels, config.heads)
        else:
            self.norm = nn.LayerNorm(config.channels)
        self.experts = nn.ModuleDict(
            {target: MixtureOfExperts(config.channels, config.experts, config.top_k) for target in config.targets}
        )

    @property
    def needs_vit(self) -> bool:
        """Whether the visual ViT is used: by the visual branch, or by BERT's tokens, which attend to it."""
        return self.config.branches != 'semantic' or self.config.semantic == 'bert'

    def _check_layers(self) -> None:
        depth = len(self.visual.blocks)
        if max(self.config.layers) > depth:
            raise ValueError(
                f'MoE-AGIQA option layers is {self.config.layers}: {self.config.visual} has {depth} layers.'
            )

    def _build_semantic(self, config: MoEAGIQAConfig) -> None:
        if config.semantic == 'blip':
            self.semantic = BlipSemantic(**config.semantic_options)
            self.view_size, self.view_mean, self.view_std = (
                self.semantic.view_size,
                self.semantic.mean,
                self.semantic.std,
            )
            self.frozen_semantic = self.semantic.freeze(config.frozen_share)
        else:
            self.semantic = BertSemantic(config.semantic_options, self.visual.num_features, config.heads)
            self.frozen_semantic = [self.semantic.text]
        self.project_semantic = nn.Linear(self.semantic.width, config.channels, bias=False)

    def forward(self, crops: Tensor, view: Tensor | None, ids: Tensor | None, mask: Tensor | None) -> dict:
        return self.assess(self.encode(crops, view), ids, mask)
