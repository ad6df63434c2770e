"""MoE-AGIQA: how good is this AI-generated image for this prompt?

Paper: J. Yang et al., "MoE-AGIQA: Mixture-of-Experts Boosted Visual Perception-Driven and Semantic-Aware Quality
Assessment for AI-Generated Images", CVPR Workshops 2024. Official code: https://github.com/37s/MoE-AGIQA. An independent
implementation of the paper's equations; the defaults reproduce the released implementation's arithmetic, so that its
checkpoints can be converted. Unlike there, dropout is off in frozen parts, and any timm ViT, Swin, ConvNeXt or BERT can serve as encoder.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from timm.layers import Attention
from torch import Tensor, nn

from ..images.views import normalize
from ..options import OptionError
from .chunks import crops_at_once, in_chunks, without_twins
from .config import MoEAGIQAConfig
from .experts import ExpertScores, MixtureOfExperts
from .fusion import Fusion
from .hardware import fused_attention_pays
from .linear_score import LinearScore
from .matching import CosineScore, PromptMatching
from .novelty import Novelty
from .semantic import BertSemantic
from .tokenizer import PromptTokenizer, bert_tokenizer
from .vit import (
    LocalFFN,
    PriorInjection,
    build_vit,
    grid_of,
    has_last_norm,
    image_token,
    last_tokens,
    layer_features,
    layers_width,
    pool_tokens,
    shared_layers,
)


class Features(NamedTuple):
    """Outputs of the parts that training does not change, for N images with n crops each; None for a branch that is off.

    Attributes:
        degradation: (N, n, D of all layers, h, w), eq. 3; with ``view_is_crop`` n + 1, the whole view first.
        prior: (N, n, D), eq. 1.
        image: (N, tokens, D) of the semantic view, after the last frozen layer of its encoder.
        words: (N, L2, E) of the prompts, for a 'bert' or 'clip' that is frozen whole; else None.
    """

    degradation: Tensor | None
    prior: Tensor | None
    image: Tensor | None
    words: Tensor | None = None


class Assessment(NamedTuple):
    """The network's answer.

    Attributes:
        targets: for each target its ExpertScores: score (N, n), gate (N, n, experts), chosen (N, n, k).
        matching: embeddings (N, d) of images and of prompts, whose products are their cosines; or None.
        novelty: (N,), how far each image is from the training pictures, see ``Novelty``; or None.
    """

    targets: dict[str, ExpertScores]
    matching: tuple[Tensor, Tensor] | None
    novelty: Tensor | None = None


class MoEAGIQA(nn.Module):
    """The network: crops, semantic view and prompt tokens in, one score per crop and target out.

    Args:
        config: the configuration, or its fields as keyword arguments.

    Shape:
        crops (N, n, 3, h, w) of ``config.crop_size`` and view (N, 3, V, V) in [0, 1], ids and mask (N, L2) -> Assessment, whose scores (N, n)
        are MOS scaled to [0, 1].

    Example:
        >>> network = MoEAGIQA(visual='vit_tiny_patch16_224', layers=[3], branches='visual', prior=False).eval()
        >>> network(torch.rand(1, 2, 3, 224, 224), None, None, None).targets['quality'].score.shape
        torch.Size([1, 2])
    """

    semantic: Any  # a BertSemantic, a BlipSemantic or a ClipSemantic, as ``config.semantic`` says

    def __init__(self, config: MoEAGIQAConfig | None = None, **options: Any):
        super().__init__()
        self.config = config = config or MoEAGIQAConfig.from_options(options)
        self.view_size, self.view_mean, self.view_std = config.view_size, config.pixel_mean, config.pixel_std
        self.frozen: list[nn.Module] = []
        self.frozen_dropout = False
        self.fixed_shapes = False  # True once compiled: another number of crops would compile again
        if config.branches != 'semantic' or config.reads_image_with_visual:
            self.visual = self._build_vit().requires_grad_(False)
            if not config.reads_image_with_visual:
                self.visual.prune_intermediate_layers([max(config.layers) - 1], prune_norm=not config.norm_layers)
            self.frozen.append(self.visual)
        if config.branches != 'semantic':
            self._build_visual_branch()
        if config.branches != 'visual':
            self._build_semantic_branch()
        if config.branches == 'both':
            self.fusion = Fusion(config.channels, config.heads)
        else:
            self.norm = nn.LayerNorm(config.channels)
        self.dropout = nn.Dropout(config.dropout)
        self.experts = nn.ModuleDict(
            {target: MixtureOfExperts(config.channels, config.experts, config.top_k) for target in config.targets}
        )

    def _build_vit(self) -> Any:
        config = self.config
        vit = build_vit(config.visual, config.crop_size, **config.visual_options)
        depth = len(vit.feature_info)
        if max(config.layers) > depth:
            raise OptionError(f'MoE-AGIQA option layers is {config.layers}: {config.visual} has {depth} layers.')
        if config.norm_layers and not has_last_norm(vit):
            raise OptionError(
                f'MoE-AGIQA option norm_layers is True: {config.visual} has no last norm for tokens; leave it out.'
            )
        rows, columns = grid_of(vit, config.crop_size, depth if config.reads_image_with_visual else config.layers[0])
        if config.token_pool > min(rows, columns):
            raise OptionError(
                f'MoE-AGIQA option token_pool is {config.token_pool}: a crop has {rows} x {columns} tokens.'
            )
        return vit

    def _build_visual_branch(self) -> None:
        config = self.config
        width = self._degradation_width
        self.local_ffn = LocalFFN(width, config.hidden, config.channels)
        if config.view_is_crop:
            # The view has its own FFN because it shows the picture at another scale.
            self.view_ffn = LocalFFN(width, config.hidden, config.channels)
        if config.linear:
            self.linear = LinearScore(width, len(config.targets), config.view_is_crop)
            self.novelty = Novelty(width * (2 if config.view_is_crop else 1))
        if config.prior:
            self.prior = self._build_vit().requires_grad_(False)
            self.frozen.append(self.prior)
            self.trunk = 0
            height, width = (side // config.token_pool for side in self._grid)
            self.inject = PriorInjection(self.prior.num_features, config.channels, (height, width))

    @property
    def projections(self) -> list[nn.Linear]:
        """The matrices that bring the text's tokens (eq. 6) and the prior's class token (eq. 2) to C channels."""
        parts = [self.project_semantic] if self.config.branches != 'visual' else []
        return [*parts, self.inject.project] if hasattr(self, 'inject') else parts

    @property
    def _degradation_width(self) -> int:
        """Channels of eq. 3's features."""
        return layers_width(self.visual, self.config.layers) * (2 if self.config.class_tokens else 1)

    @property
    def _grid(self) -> tuple[int, int]:
        """Rows and columns of eq. 3's features before they are pooled."""
        return grid_of(self.visual, self.config.crop_size, self.config.layers[0])

    def _build_semantic_branch(self) -> None:
        config = self.config
        if config.semantic == 'bert':
            self.semantic = BertSemantic(config.semantic_options, self.visual.num_features, config.heads)
        else:
            self.semantic = self._build_image_reader()
            self.view_mean, self.view_std = self.semantic.mean, self.semantic.std
        self.frozen += self.semantic.freeze(config.frozen_share)
        self.project_semantic = nn.Linear(self.semantic.width, config.channels, bias=False)
        if config.matching:
            self.matching = self._build_matching()

    def _build_image_reader(self) -> nn.Module:
        """Build a text encoder that comes with an image encoder of its own."""
        config = self.config
        if config.semantic == 'blip':
            from .blip import BlipSemantic

            return BlipSemantic(**config.semantic_options)
        from .clip import ClipSemantic

        return ClipSemantic(config.semantic_options, config.heads)

    def _build_matching(self) -> CosineScore:
        config, targets = self.config, len(self.config.targets)
        if config.semantic == 'clip':  # it has projections of its own
            return CosineScore(targets, config.matching_gates)
        summary = self.visual.num_features + (self._degradation_width if config.view_is_crop else 0)
        return PromptMatching(2 * summary, self.semantic.width, config.matching, targets, config.matching_gates)

    @property
    def tokenizer(self) -> PromptTokenizer:
        """What makes ``ids`` and ``mask`` of prompts: the text encoder's own."""
        return self.semantic.tokenizer if self.config.branches != 'visual' else bert_tokenizer()

    def forward(
        self,
        crops: Tensor | None,
        view: Tensor | None,
        ids: Tensor | None,
        mask: Tensor | None,
        features: Features | None = None,
    ) -> Assessment:
        """Score crops; ``features`` can pass what ``encode`` or ``encode_view`` returned earlier for the same inputs."""
        if features is None or (features.degradation is None and self.config.branches != 'semantic'):
            features = self.encode(crops, view, ids, mask, features)
        return self.assess(features, ids, mask)

    def encode(
        self,
        crops: Tensor | None,
        view: Tensor | None,
        ids: Tensor | None = None,
        mask: Tensor | None = None,
        known: Features | None = None,
    ) -> Features:
        """Compute eq. 1 and 3, and the frozen part of eq. 4: training does not change them.

        Without ``ids``, or if training changes the text encoder, ``assess`` computes the words. ``known`` can pass what
        ``encode_view`` returned earlier.
        """
        config, degradation, prior = self.config, None, None
        if config.view_is_crop:
            crops = torch.cat([there(view)[:, None], there(crops)], dim=1)
        if config.branches != 'semantic':
            crops = there(crops)
            at_once = crops_at_once(1 + math.prod(self._grid), crops.device)
            looks, of = crops.flatten(0, 1), None
            # len() comes last: in an export it would fix the number of images.
            if config.crop_scales and not (self.fixed_shapes or torch.compiler.is_exporting()) and len(crops) == 1:
                looks, of = without_twins(looks)
            parts = in_chunks(self._encode_crops, looks, at_once)
            degradation, prior, deepest = (None if part is None else part[of] for part in parts) if of else parts
            degradation, prior = (
                None if part is None else part.unflatten(0, crops.shape[:2]) for part in (degradation, prior)
            )
        if config.view_is_crop and known is None:  # the view's first layers are computed already, with the crops'
            views = self._normalize(there(view))
            image = last_tokens(self.visual, views, there(deepest)[:: there(crops).shape[1]], max(config.layers))
            known = Features(None, None, self._pool(image), self._frozen_words(ids, mask))
        known = known or self.encode_view(view, ids, mask)
        return known._replace(degradation=degradation, prior=prior)

    def encode_view(self, view: Tensor | None, ids: Tensor | None = None, mask: Tensor | None = None) -> Features:
        """Compute what of ``encode`` depends on the view and the prompts alone: ``image`` and ``words``."""
        image = None
        if self.config.branches != 'visual':
            image = self._image_tokens(normalize(there(view), self.view_mean, self.view_std))
        return Features(None, None, image, self._frozen_words(ids, mask))

    def _frozen_words(self, ids: Tensor | None, mask: Tensor | None) -> Tensor | None:
        if ids is None or not self.config.reads_words_apart or not self.semantic.words_are_frozen:
            return None
        return self.semantic.words(ids, mask)

    def _normalize(self, crops: Tensor) -> Tensor:
        return normalize(crops, self.config.pixel_mean, self.config.pixel_std).to(_dtype(self.visual))

    def _encode_crops(self, crops: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Compute eq. 3 and 1 of crops (M, 3, h, w), and with ``view_is_crop`` all tokens after the deepest layer of eq. 3."""
        config, prior, trunk = self.config, None, getattr(self, 'trunk', 0)
        pixels = self._normalize(crops)
        layers, after = layer_features(
            self.visual, pixels, config.layers, config.norm_layers, config.class_tokens, trunk
        )
        degradation = layers.float()
        if config.token_pool > 1:
            degradation = F.avg_pool2d(degradation, config.token_pool)
        if config.prior:
            prior = image_token(self.prior, pixels, after.get(trunk), trunk).float()
        return degradation, prior, after[max(config.layers)] if config.view_is_crop else None

    def find_shared_trunk(self) -> None:
        """Set ``trunk`` to the number of first layers that the prior's ViT shares with the layers of the frozen ViT.

        Call this once weights are loaded. Pre-training does not change the prior's first blocks, and equal layers need not
        be computed twice.
        """
        if hasattr(self, 'prior'):
            self.trunk = shared_layers(self.visual, self.prior)

    def _image_tokens(self, pixels: Tensor) -> Tensor:
        if self.config.reads_image_with_visual:
            return self._pool(last_tokens(self.visual, pixels.to(_dtype(self.visual))))
        return self.semantic.frozen_image_features(pixels)

    def _pool(self, tokens: Tensor) -> Tensor:
        grid = grid_of(self.visual, self.config.crop_size, len(self.visual.feature_info))
        return pool_tokens(tokens.float(), grid, self.config.token_pool)

    def read(self, ids: Tensor, mask: Tensor) -> Tensor | None:
        """Compute the prompts' words (N, L2, E) before they attend to an image.

        Returns None for a 'blip' and without the semantic branch.
        """
        return self.semantic.words(ids, mask) if self.config.reads_words_apart else None

    def assess(
        self, features: Features, ids: Tensor | None, mask: Tensor | None, words: Tensor | None = None
    ) -> Assessment:
        """Compute eq. 2 and 4-12: from the encoders' features and the prompts to one score per crop and target.

        Without the visual branch crops are ignored, and each image has one score. ``words`` can pass what ``read`` returned.
        """
        if words is not None:
            features = features._replace(words=words)
        visual, semantic, matching = self.visual_tokens(features), None, None
        if self.config.branches != 'visual':
            tokens, image, words = self._read_prompt(features, there(ids), there(mask))
            semantic = self.project_semantic(tokens)  # (N, L2, C)
            if self.config.matching:
                matching = self._embeddings(features, image, there(words), there(mask))
        crops = 1 if features.degradation is None else features.degradation.shape[1]
        # All crops' tokens form one sequence of queries: each attends by itself, and the prompt is projected only once.
        fused = self._fuse(visual, semantic).unflatten(1, (crops, -1))  # (N, n, L1, C)
        means = there(features.degradation).mean(dim=(3, 4)) if self.config.linear else None
        return self.judge(fused.mean(dim=2), means, matching)

    def judge(self, pooled: Tensor, means: Tensor | None, matching: tuple[Tensor, Tensor] | None) -> Assessment:
        """Compute eq. 11-12: from the mean fused tokens (N, n, C) to one score per crop and target.

        With ``linear`` a score that is linear in the mean degradation features, ``means`` (N, n, D), is added. With
        ``matching`` the cosine of image and prompt is added by ``PromptMatching.add_to``.
        """
        pooled = self.dropout(pooled)
        targets, novelty = {name: experts(pooled) for name, experts in self.experts.items()}, None
        if self.config.linear:
            novelty = self.novelty(image_means(there(means), self.config))
            targets = self.linear.add_to(targets, there(means))
        if matching is not None:
            image, prompt = matching
            targets = self.matching.add_to(targets, (image * prompt).sum(dim=-1))
        return Assessment(targets, matching, novelty)

    def summary(self, features: Features) -> Tensor:
        """Summarise an image for the comparison with a prompt: the view's token of the image and mean patch token, (N, 2 * D).

        With ``view_is_crop`` the means over places of eq. 3's features precede them, first the view's, then the crops':
        several layers hold more of the picture's content than the last one alone.
        """
        tokens = there(features.image)
        image = torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=-1)
        if not self.config.view_is_crop:
            return image
        means = there(features.degradation).mean(dim=(3, 4))
        return torch.cat([means[:, 0], means[:, 1:].mean(dim=1), image], dim=-1)

    def _read_prompt(self, features: Features, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Compute eq. 4: the prompt's tokens after they attend to the image, the image's, and a 'bert's or 'clip's words before."""
        image = there(features.image)
        if not self.config.reads_image_with_visual:
            image = self.semantic.trained_image_features(image)
        if not self.config.reads_words_apart:
            return self.semantic.text_features(ids, mask, image), image, None
        words = self.semantic.words(ids, mask) if features.words is None else features.words
        return self.semantic.attend(words, image), image, words

    def _embeddings(self, features: Features, image: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Compute embeddings of images and prompts whose products are their cosines: a 'clip' has its own."""
        if self.config.semantic == 'clip':
            return self.semantic.embed_image(image), self.semantic.embed_prompt(words, mask)
        return self.matching(self.summary(features), words, mask)

    def visual_tokens(self, features: Features) -> Tensor | None:
        """Compute eq. 2 and 5: all crops' tokens as one sequence, (N, n * L1, C); None without the visual branch."""
        if self.config.branches == 'semantic':
            return None
        crops = looks = there(features.degradation)
        if self.config.view_is_crop:
            view, crops = self.view_ffn(crops[:, 0]), crops[:, 1:]
        visual = self.local_ffn(crops.flatten(0, 1))
        if self.config.view_is_crop:
            visual = visual.unflatten(0, crops.shape[:2])
            visual = torch.cat([view[:, None], visual], dim=1).flatten(0, 1)
        if self.config.prior:
            visual = self.inject(visual, there(features.prior).flatten(0, 1))
        visual = visual.flatten(2).transpose(1, 2)  # (N * n, L1, C)
        return visual.unflatten(0, looks.shape[:2]).flatten(1, 2)  # (N, n * L1, C)

    def _fuse(self, visual: Tensor | None, semantic: Tensor | None) -> Tensor:
        if self.config.branches == 'both':
            return self.fusion(visual, semantic)
        return self.norm(semantic if visual is None else visual)

    def train(self, mode: bool = True) -> 'MoEAGIQA':
        """Set the mode, but keep frozen parts in evaluation mode: pyiqa's trainer calls this after each validation.

        With ``frozen_dropout`` frozen parts change mode too, as in the released implementation.
        """
        super().train(mode)
        for part in self.frozen if not self.frozen_dropout else ():
            part.eval()
        return self

    @property
    def encoders(self) -> list[nn.Module]:
        """The large parts, which can run in half precision; the parts after them stay in float32."""
        parts = [getattr(self, 'visual', None), getattr(self, 'prior', None)]
        if self.config.branches != 'visual':
            parts += self.semantic.encoders
        return [part for part in parts if part is not None]

    @property
    def crops(self) -> int:
        """Default number of crops per image when scoring."""
        return self.config.crops

    def prepare_to_score(self, crops: int, dtype: str, fast: bool, compile: bool) -> None:
        """Freeze the semantic branch's encoders, and compile if asked.

        No training follows, so all that depends on the image alone is computed once for all prompts.
        """
        if self.config.branches != 'visual':
            self.semantic.freeze(1.0)
        if compile:
            self.compile_encoders()

    @torch.inference_mode(False)  # autograd cannot use tensors made in inference mode
    def make_ready(self, dtype: torch.dtype) -> None:
        """Restore evaluation mode and the encoders' ``dtype``, which can have changed since the last score."""
        if self.training:
            self.eval()
        self.cast_encoders(dtype)

    def cast_encoders(self, dtype: torch.dtype) -> 'MoEAGIQA':
        """Let the encoders compute in ``dtype`` with the attention that is faster for it; their outputs become float32."""
        for part in self.encoders:
            if _dtype(part) != dtype:
                part.to(dtype)
            fused = fused_attention_pays(next(part.parameters()).device, dtype)
            for module in part.modules():
                if isinstance(module, Attention):
                    module.fused_attn = fused  # type: ignore[misc]  # timm marks it as final for TorchScript alone
        return self

    def compile_encoders(self) -> 'MoEAGIQA':
        """Compile eq. 1 and 3, which take nearly all the time, by torch.compile; on an accelerator with CUDA graphs."""
        mode = 'reduce-overhead' if torch.cuda.is_available() else 'default'
        compiled = torch.compile(self._encode_crops, mode=mode)

        def encode(crops: Tensor) -> tuple[Tensor | None, ...]:
            # Clone: a CUDA graph reuses its output memory, and the next chunk must not overwrite this one's result.
            return tuple(None if part is None else part.clone() for part in compiled(crops))

        self._encode_crops = encode  # type: ignore[method-assign,assignment]  # the compiled one, for this network
        self.fixed_shapes = True
        return self

    @property
    def trained(self) -> dict[str, Tensor]:
        """The parameters that training changes."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}


def there(part: Tensor | None) -> Tensor:
    """Return an input or a part of ``Features`` that the configuration needs, so that it is not None."""
    assert part is not None
    return part


def mean_over_crops(scores: Tensor, config: MoEAGIQAConfig) -> Tensor:
    """Average an image's crop scores, by ``crop_weights`` if there are any: (N, n) -> (N, 1).

    With ``view_is_crop`` the first score is the view's, and it always has the weight 1 / (1 + ``config.crops``), for any
    number of crops. Training fits only this mean, and a view's own score is lower than a crop's.
    """
    if not config.view_is_crop:
        return _weighted(scores, config)
    crops = scores.shape[1] - 1
    if crops == config.crops and not config.crop_weights:
        return scores.mean(dim=1, keepdim=True)
    return (scores[:, :1] + config.crops * _weighted(scores[:, 1:], config)) / (1 + config.crops)


def image_means(means: Tensor, config: MoEAGIQAConfig) -> Tensor:
    """Average the crops' mean features (N, n, D): (N, D), or with ``view_is_crop`` (N, 2 * D), the view's first."""
    if not config.view_is_crop:
        return _weighted(means, config)[:, 0]
    return torch.cat([means[:, 0], _weighted(means[:, 1:], config)[:, 0]], dim=1)


def _weighted(crops: Tensor, config: MoEAGIQAConfig) -> Tensor:
    """Average over crops by ``crop_weights``: (N, n, ...) -> (N, 1, ...)."""
    if not config.crop_weights:
        return crops.mean(dim=1, keepdim=True)
    turns = [config.crop_weights[index % len(config.crop_weights)] for index in range(crops.shape[1])]
    # Not a matrix product: autocast would round it, and its last digits could depend on the number of images.
    weights = crops.new_tensor(turns).view(-1, *[1] * (crops.dim() - 2))
    return (crops * weights).sum(dim=1, keepdim=True) / sum(turns)


def _dtype(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype
