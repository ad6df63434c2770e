"""Visual side: degradation features of a ViT's middle layers, and the natural degradation prior (eq. 1-3, 5)."""

from collections.abc import Collection, Sequence
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.layers import Attention, resample_abs_pos_embed
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from ..options import OptionError


def build_vit(name: str, crop_size: int, **options: Any) -> VisionTransformer:
    """Build a timm ViT without classifier and without weights: they come from a checkpoint, never from a download.

    Raises:
        OptionError: for a name that timm does not know, or a ``crop_size`` that is no multiple of the patch size.
    """
    if not timm.is_model(name.split('.')[0]):
        raise OptionError(f'MoE-AGIQA option visual is {name!r}: timm has no such model.')
    vit: Any = timm.create_model(name, pretrained=False, num_classes=0, img_size=crop_size, **options)
    patch = vit.patch_embed.patch_size[0]
    if crop_size % patch:
        raise OptionError(
            f'MoE-AGIQA option crop_size is {crop_size}: it must be a multiple of the patch size {patch}.'
        )
    return vit


def fit_position_embedding(
    weights: dict[str, Tensor], vit: VisionTransformer, name: str = 'pos_embed'
) -> dict[str, Tensor]:
    """Return the weights with their position embedding resized to the ViT's own grid, if the shapes differ."""
    target, stored = vit.get_parameter('pos_embed'), weights[name]
    if stored.shape == target.shape:
        return weights
    resized = resample_abs_pos_embed(stored, vit.patch_embed.grid_size, num_prefix_tokens=vit.num_prefix_tokens)
    return weights | {name: resized}


def layer_features(
    vit: VisionTransformer,
    pixels: Tensor,
    layers: Sequence[int],
    norm: bool = False,
    class_tokens: bool = False,
    trunk: int = 0,
) -> tuple[Tensor, dict[int, Tensor]]:
    """Join the patch tokens of the given layers (the first is 1) on channels: (N, len(layers) * D, h, w) (eq. 3).

    With ``norm`` the ViT's last norm is applied to each layer's tokens. With ``class_tokens`` the layers' class tokens follow:
    as many channels again, with the same values at every place.

    Returns:
        The joined tokens; and, by layer, all tokens (N, 1 + h * w, D) after each of ``layers`` and, unless it is 0, after
        layer ``trunk``. Later layers are not computed.
    """
    after = tokens_after(vit, pixels, {*layers, trunk} - {0})
    joined = [vit.norm(after[layer]) if norm else after[layer] for layer in layers]
    grid = vit.patch_embed.dynamic_feat_size(pixels.shape[-2:])
    patches = torch.cat([tokens[:, vit.num_prefix_tokens :] for tokens in joined], dim=-1)
    patches = patches.transpose(1, 2).unflatten(2, grid)
    if not class_tokens:
        return patches, after
    classes = torch.cat([tokens[:, 0] for tokens in joined], dim=1)[:, :, None, None]
    return torch.cat([patches, classes.expand(-1, -1, *grid)], dim=1), after


def tokens_after(vit: VisionTransformer, pixels: Tensor, layers: Collection[int]) -> dict[int, Tensor]:
    """Return all tokens (N, 1 + h * w, D) after each of ``layers`` (the first is 1); later layers are not computed."""
    wanted = sorted(layers)
    taken: Any = vit.forward_intermediates(  # timm's type also has the shapes that other arguments give
        pixels,
        indices=[layer - 1 for layer in wanted],
        stop_early=True,
        output_fmt='NLC',
        return_prefix_tokens=True,
        intermediates_only=True,
    )
    return {layer: torch.cat([prefix, patches], 1) for layer, (patches, prefix) in zip(wanted, taken, strict=True)}


def last_tokens(vit: VisionTransformer, pixels: Tensor, tokens: Tensor, layers: int) -> Tensor:
    """Return all tokens after the ViT's last norm, (N, 1 + h * w, D), given those after the first ``layers`` layers."""
    if type(vit) is not VisionTransformer:
        # Start over from the pixels: other ViTs' blocks need more than tokens, such as rotary embeddings.
        return vit.forward_features(pixels)
    return vit.norm(vit.blocks[layers:](tokens))


def class_token(vit: VisionTransformer, pixels: Tensor, tokens: Tensor | None = None, layers: int = 0) -> Tensor:
    """Return the class token after the ViT's last norm: (N, D) (eq. 1).

    If ``tokens`` are given, they are those after the first ``layers`` layers, and only later layers are computed. The last
    layer computes only what the class token needs: all keys and values, but one query and one token's MLP.
    """
    if tokens is None:
        layers, tokens = 1, tokens_after(vit, pixels, [1])[1]
    last = len(vit.blocks) - 1
    if vit.training or layers > last or type(vit) is not VisionTransformer or not _is_plain(vit.blocks[last]):
        return last_tokens(vit, pixels, tokens, layers)[:, 0]
    return vit.norm(_first_token_after(vit.blocks[last], vit.blocks[layers:last](tokens)))


def _is_plain(block: Any) -> bool:
    if type(block) is not Block or type(block.attn) is not Attention:
        return False
    quantized = type(block.attn.qkv.weight) is not nn.Parameter  # quantized weights cannot be split
    return not quantized and getattr(block.attn, 'gate', None) is None


def _first_token_after(block: Any, tokens: Tensor) -> Tensor:
    """Compute a block's output for the first token only: (N, L, D) -> (N, D)."""
    attention, first, normed = block.attn, tokens[:, 0], block.norm1(tokens)
    width, bias = attention.proj.in_features, attention.qkv.bias
    q_bias, kv_bias = (None, None) if bias is None else (bias[:width], bias[width:])
    q = F.linear(normed[:, :1], attention.qkv.weight[:width], q_bias)
    k, v = F.linear(normed, attention.qkv.weight[width:], kv_bias).chunk(2, dim=-1)
    q, k, v = (part.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for part in (q, k, v))
    attended = F.scaled_dot_product_attention(attention.q_norm(q), attention.k_norm(k), v)  # (N, heads, 1, D / heads)
    first = first + block.ls1(attention.proj(attention.norm(attended.flatten(1))))
    return first + block.ls2(block.mlp(block.norm2(first)))


def shared_layers(one: nn.Module, other: nn.Module) -> int:
    """Count the first layers that two plain ViTs share, weight for weight; 0 if embeddings differ, and for other ViTs."""
    if type(one) is not VisionTransformer or type(other) is not VisionTransformer:
        return 0  # other ViTs change tokens in more ways than these weights show, such as by rotary embeddings
    ours, theirs = one.state_dict(), other.state_dict()
    different = {name for name, tensor in ours.items() if not (name in theirs and tensor.equal(theirs[name]))}
    if any(not name.startswith(('blocks.', 'norm.')) for name in different):
        return 0
    depth = min(len(one.blocks), len(other.blocks))
    return min([depth, *(int(name.split('.')[1]) for name in different if name.startswith('blocks.'))])


def pool_tokens(tokens: Tensor, grid: tuple[int, int], side: int) -> Tensor:
    """Average a ViT's patch tokens over squares of ``side`` x ``side``, and keep its class token.

    Shape:
        (N, 1 + h * w, D) -> (N, 1 + (h // side) * (w // side), D)
    """
    patches = tokens[:, 1:].transpose(1, 2).unflatten(2, grid)  # (N, D, h, w)
    return torch.cat([tokens[:, :1], F.avg_pool2d(patches, side).flatten(2).transpose(1, 2)], dim=1)


class LocalFFN(nn.Module):
    """FFN_v (eq. 5): maps degradation features to C channels and adds locality by a 3x3 convolution.

    Shape:
        (N, len(layers) * D, h, w) -> (N, C, h, w)
    """

    def __init__(self, in_channels: int, hidden: int, channels: int):
        super().__init__()
        self.reduce = nn.Conv2d(in_channels, hidden, 1)
        self.local = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return self.local(self.reduce(features)).relu()


class PriorInjection(nn.Module):
    r"""Gates the channels of the visual features by the natural degradation prior (eq. 2 and the release's additions).

    .. math:: g = \sigma(W_2 \, \mathrm{GELU}(W_1 \, p)), \quad M' = M \odot w_1 + (M \odot g) \odot w_2

    ``w1`` starts at one and ``w2`` at zero, so that training starts from the output of a network without prior. (The
    released implementation starts both at zero.)

    Shape:
        features (N, C, h, w), prior (N, D) -> (N, C, h, w)
    """

    def __init__(self, prior_width: int, channels: int, grid: tuple[int, int]):
        super().__init__()
        self.project = nn.Linear(prior_width, channels, bias=False)
        self.squeeze = nn.Linear(channels, channels // 4)
        self.excite = nn.Linear(channels // 4, channels)
        self.w1 = nn.Parameter(torch.ones(1, channels, *grid))
        self.w2 = nn.Parameter(torch.zeros(1, channels, *grid))

    def forward(self, features: Tensor, prior: Tensor) -> Tensor:
        hidden = F.gelu(self.squeeze(self.project(prior)))
        gate = self.excite(hidden).sigmoid()[:, :, None, None]
        return features * self.w1 + features * gate * self.w2
