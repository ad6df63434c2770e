"""Visual side: degradation features of a ViT's middle layers, and the natural degradation prior (eq. 1-3, 5).

A layer's tokens are (N, prefix + h * w, D): first the class token and registers, as many as the ViT has, then one token for
each place. Swin and ConvNeXt also count as ViTs here. Their layers are stages, whose tokens are the places of a map; later maps
are smaller.
"""

from collections.abc import Collection, Sequence
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.layers import Attention
from timm.models.beit import Beit
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2
from timm.models.vision_transformer import Block, VisionTransformer
from timm.models.vision_transformer_relpos import VisionTransformerRelPos
from torch import Tensor, nn

from ..images.size import Size, height_width
from ..options import OptionError, quoted, shown

# timm's classes; most names of ViTs, such as DINO, CLIP, SigLIP, DeiT, AIMv2, belong to the first.
WITH_TOKENS = (VisionTransformer, VisionTransformerRelPos, Eva, Beit)
WITH_MAPS = (SwinTransformer, SwinTransformerV2, ConvNeXt)


def build_vit(name: str, crop_size: Size, **options: Any) -> Any:
    """Build a timm ViT without classifier and without weights: they come from a checkpoint, never from a download.

    Raises:
        OptionError: for a name that timm does not know, another kind of network, options that it cannot have, or a
            ``crop_size`` that is no multiple of the patch size.
    """
    if not timm.is_model(name.split('.')[0]):
        raise OptionError(f'MoE-AGIQA option visual is {name!r}: timm has no such model.')
    try:
        vit = _build(name, crop_size, options)
    except Exception as error:  # timm's networks raise any error for options that do not fit
        raise OptionError(
            f'MoE-AGIQA option visual is {name!r}: timm cannot build it for crops of {crop_size} pixels and '
            f'visual_options {options} ({quoted(error)}).'
        ) from None
    if not isinstance(vit, WITH_TOKENS + WITH_MAPS):
        known = ', '.join(kind.__name__ for kind in WITH_TOKENS + WITH_MAPS)
        raise OptionError(f'MoE-AGIQA option visual is {name!r}, a {type(vit).__name__} of timm: it must be a {known}.')
    patch: Any = vit.feature_info[-1]['reduction']
    if any(side % patch for side in height_width(crop_size)):
        raise OptionError(
            f'MoE-AGIQA option crop_size is {shown(crop_size)}: it must be a multiple of the patch size {patch}.'
        )
    return vit


def _build(name: str, crop_size: Size, options: dict[str, Any]) -> Any:
    try:
        return timm.create_model(name, pretrained=False, num_classes=0, img_size=height_width(crop_size), **options)
    except TypeError:  # a convolutional network has no size
        return timm.create_model(name, pretrained=False, num_classes=0, **options)


def grid_of(vit: Any, crop_size: Size, layer: int) -> tuple[int, int]:
    """Return the rows and columns of the places in a crop after ``layer`` (the first is 1)."""
    rows, columns = (side // vit.feature_info[layer - 1]['reduction'] for side in height_width(crop_size))
    return rows, columns


def layers_width(vit: Any, layers: Sequence[int]) -> int:
    """Return the number of channels of these layers together."""
    return sum(vit.feature_info[layer - 1]['num_chs'] for layer in layers)


def has_last_norm(vit: Any) -> bool:
    """Whether the ViT has a last norm that fits the tokens of every layer."""
    return isinstance(vit, WITH_TOKENS) and not isinstance(vit.norm, nn.Identity)


def layer_features(
    vit: Any,
    pixels: Tensor,
    layers: Sequence[int],
    norm: bool = False,
    class_tokens: bool = False,
    trunk: int = 0,
) -> tuple[Tensor, dict[int, Tensor]]:
    """Join the patch tokens of the given layers (the first is 1) on channels: (N, D of all layers, h, w) (eq. 3).

    Smaller maps of later stages are enlarged to the first layer's. With ``norm`` the ViT's last norm is applied to each layer's
    tokens. With ``class_tokens`` the layers' class tokens follow: as many channels again, with the same values at every place.
    Without a class token the mean of the layer's patch tokens stands for it.

    Returns:
        The joined tokens; and, by layer, all tokens after each of ``layers`` and, unless it is 0, after layer ``trunk``. Later
        layers are not computed.
    """
    after = tokens_after(vit, pixels, {*layers, trunk} - {0})
    joined = [vit.norm(after[layer]) if norm else after[layer] for layer in layers]
    grids, skipped = [grid_of(vit, (pixels.shape[-2], pixels.shape[-1]), layer) for layer in layers], _prefix(vit)
    patches = torch.cat(
        [_resized(tokens[:, skipped:], grid, grids[0]) for tokens, grid in zip(joined, grids, strict=True)], dim=-1
    )
    patches = patches.transpose(1, 2).unflatten(2, grids[0])
    if not class_tokens:
        return patches, after
    classes = [tokens[:, 0] if _has_class_token(vit) else tokens[:, skipped:].mean(dim=1) for tokens in joined]
    return torch.cat([patches, torch.cat(classes, dim=1)[:, :, None, None].expand(-1, -1, *grids[0])], dim=1), after


def _prefix(vit: Any) -> int:
    """Return how many tokens precede those of the patches."""
    return vit.num_prefix_tokens if isinstance(vit, WITH_TOKENS) else 0


def _has_class_token(vit: Any) -> bool:
    return isinstance(vit, WITH_TOKENS) and vit.cls_token is not None


def _resized(patches: Tensor, grid: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Interpolate patch tokens (N, h * w, D) to another grid."""
    if grid == wanted:
        return patches
    maps = patches.transpose(1, 2).unflatten(2, grid)
    return F.interpolate(maps, wanted, mode='bilinear').flatten(2).transpose(1, 2)


def tokens_after(vit: Any, pixels: Tensor, layers: Collection[int]) -> dict[int, Tensor]:
    """Return all tokens after each of ``layers`` (the first is 1); later layers are not computed."""
    wanted, has_prefix = sorted(layers), _prefix(vit) > 0
    options = {'output_fmt': 'NLC', 'return_prefix_tokens': has_prefix} if isinstance(vit, WITH_TOKENS) else {}
    taken = vit.forward_intermediates(
        pixels, indices=[layer - 1 for layer in wanted], stop_early=True, intermediates_only=True, **options
    )
    if not isinstance(vit, WITH_TOKENS):
        taken = [stage.flatten(2).transpose(1, 2) for stage in taken]
    elif has_prefix:
        taken = [torch.cat([prefix, patches], 1) for patches, prefix in taken]
    return dict(zip(wanted, taken, strict=True))


def last_tokens(vit: Any, pixels: Tensor, tokens: Tensor | None = None, layers: int = 0) -> Tensor:
    """Return the image's and the patches' tokens after the ViT's last norm: (N, 1 + h * w, D).

    The image's is the class token, or what timm pools if the ViT has none: the mean, or an attention pooling. If ``tokens`` are
    given, they are those after the first ``layers`` layers, and a plain ViT computes only later layers.
    """
    if not isinstance(vit, WITH_TOKENS):
        last, (places,) = vit.forward_intermediates(pixels, indices=1, norm=True)
        image, patches = vit.forward_head(last, pre_logits=True), places.flatten(2).transpose(1, 2)
    else:
        if tokens is None or type(vit) is not VisionTransformer:
            # Start over from the pixels: other ViTs' blocks need more than tokens, such as rotary embeddings.
            last = vit.forward_features(pixels)
        else:
            last = vit.norm(vit.blocks[layers:](tokens))
        image = vit.fc_norm(last[:, 0]) if _has_class_token(vit) else vit.forward_head(last, pre_logits=True)
        patches = last[:, _prefix(vit) :]
    return torch.cat([image[:, None], patches], dim=1)


def image_token(vit: Any, pixels: Tensor, tokens: Tensor | None = None, layers: int = 0) -> Tensor:
    """Return the first of ``last_tokens``, (N, D) (eq. 1): the class token after the ViT's last norm, if it has one.

    A plain ViT's last layer computes only what the class token needs: all keys and values, but one query and one token's MLP.
    """
    plain = type(vit) is VisionTransformer and vit.cls_token is not None and not vit.training
    if not (plain and max(layers, 1) < len(vit.blocks) and _is_plain(vit.blocks[-1])):
        return last_tokens(vit, pixels, tokens, layers)[:, 0]
    if tokens is None:
        layers, tokens = 1, tokens_after(vit, pixels, [1])[1]
    return vit.fc_norm(vit.norm(_first_token_after(vit.blocks[-1], vit.blocks[layers:-1](tokens))))


def _is_plain(block: Any) -> bool:
    if type(block) is not Block or type(block.attn) is not Attention:
        return False
    qkv = block.attn.qkv
    divisible = type(qkv) is nn.Linear and type(qkv.weight) is nn.Parameter  # no adapters, and not quantized
    return divisible and getattr(block.attn, 'gate', None) is None


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
    """Average patch tokens over squares of ``side`` x ``side``, and keep the image's token before them.

    Shape:
        (N, 1 + h * w, D) -> (N, 1 + (h // side) * (w // side), D)
    """
    patches = tokens[:, 1:].transpose(1, 2).unflatten(2, grid)  # (N, D, h, w)
    return torch.cat([tokens[:, :1], F.avg_pool2d(patches, side).flatten(2).transpose(1, 2)], dim=1)


class LocalFFN(nn.Module):
    """FFN_v (eq. 5): maps degradation features to C channels and adds locality by a 3x3 convolution.

    Shape:
        (N, in_channels, h, w) -> (N, C, h, w)
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
