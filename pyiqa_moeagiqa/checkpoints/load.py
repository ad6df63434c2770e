"""Puts weights into a network, strictly: the error lists missing, extra and misshapen tensors by name."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from timm.layers import resample_abs_pos_embed, resize_rel_pos_bias_table
from torch import Tensor, nn

from ..archs.config import MoEAGIQAConfig
from ..archs.moeagiqa_arch import MoEAGIQA
from ..archs.vit import WITH_TOKENS, grid_of
from ..images.size import Size
from ..options import OptionError, quoted, shown
from .file import CheckpointError

ALIGNMENT = 64  # bytes; where torch's own tensors begin
LISTED = 20
MOST_PATCHES = 2**17  # in a crop; a crop of 224 pixels has 196 patches of 16 pixels
MOST_CONSTANTS = 2**28  # BEiT has one for each pair of a crop's patches, in each layer
Network = TypeVar('Network', bound=nn.Module)


def build_network(config: MoEAGIQAConfig) -> MoEAGIQA:
    """Build the network, still without weights."""
    return without_weights(lambda: MoEAGIQA(config))


def without_weights(make: Callable[[], Network]) -> Network:
    """Build what ``make`` makes, still without weights: random numbers for half a billion weights would take seconds."""
    with torch.device('meta'):
        network = make()
    return with_constants(network, make)


def with_constants(network: Network, make: Callable[[], Network]) -> Network:
    """Give a network on the meta device the constants that no checkpoint holds; call ``make`` again if some are unknown."""
    buffers = [(module, name) for module in network.modules() for name in module._non_persistent_buffers_set]
    if any(name not in _CONSTANTS for _, name in buffers):
        return make()  # a ViT with other constants, such as rotary embeddings, has to compute them
    for module, name in buffers:
        setattr(module, name, _CONSTANTS[name](getattr(module, name).shape))
    return network


# BLIP's text encoder and CLIP's towers keep their positions outside their weights.
_CONSTANTS = {
    'position_ids': lambda shape: torch.arange(shape[-1]).expand(shape),
}


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    """Within the context, turn errors of timm and torch, raised while they build a network, into an OptionError."""
    try:
        yield
    except (OptionError, CheckpointError):
        raise
    except Exception as error:  # their arithmetic can raise any error
        raise OptionError(f'MoE-AGIQA: no network can be built of these options ({quoted(error)}).') from None


def outline(config: MoEAGIQAConfig) -> MoEAGIQA:
    """Build the network with names and shapes only, which take no memory.

    Raises:
        OptionError: for a configuration that no network can have.
    """
    with _in_a_sentence(), torch.device('meta'):
        network = MoEAGIQA(config)
    if hasattr(network, 'visual'):
        _require_few_patches(network)
    return network


def network_with(
    config: MoEAGIQAConfig, weights: dict[str, Tensor], source: Path | str, crop_size: Size | None = None
) -> MoEAGIQA:
    """Build the network of a configuration with these weights; ``crop_size`` is theirs, if not the configuration's.

    Sizes are compared before the network takes memory. A configuration can come from anyone; this
    check limits it to the size of the tensors that the file really holds.

    Raises:
        CheckpointError: listing the tensors that are missing, extra or misshapen.
        OptionError: for a configuration that no network can have.
    """
    for layers in (config.experts, *encoder_layers(config.visual_options), *encoder_layers(config.semantic_options)):
        require_layers(layers, weights)
    sizes = outline(config)
    fitted = fit_crop_size(sizes, weights, crop_size or config.crop_size)
    check_names(fitted, sizes.state_dict(), source)
    with _in_a_sentence():
        network = with_constants(sizes, lambda: MoEAGIQA(config))
    network.load_state_dict(aligned(fitted), assign=True)
    network.find_shared_trunk()
    return network


def require_room_for_prompts(network: MoEAGIQA) -> None:
    """Raise an OptionError for a text encoder without tokenizer, or with fewer words or positions than prompts need."""
    if network.config.branches == 'visual':
        return
    words, places = network.semantic.room
    for there, needed, what in (
        (words, network.tokenizer.size, 'words'),
        (places, network.config.prompt_tokens, 'places'),
    ):
        if there < needed:
            raise OptionError(f'its text encoder has {there} {what}, but prompts have {needed}')
    most, special = network.config.prompt_tokens, sum(network.tokenizer.special)
    if special >= most:
        raise OptionError(f'its tokenizer adds {special} tokens to a prompt, which leave no room in {most}')


def aligned(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Let every tensor begin at a multiple of ``ALIGNMENT`` bytes.

    A tensor from a file lies wherever the length of the file's header puts it, and the last digits of a matrix product depend on
    where its factors begin. Without this a score would depend on the length of a path in the header.
    """
    return {name: tensor.clone() if tensor.data_ptr() % ALIGNMENT else tensor for name, tensor in weights.items()}


def require_layers(count: int, weights: dict[str, Tensor]) -> None:
    """Raise an OptionError if there are more layers or experts than tensors; call this before they are built."""
    if count > len(weights):
        raise OptionError(f'MoE-AGIQA: a network of {count} layers or experts has more than {len(weights)} tensors')


def encoder_layers(options: Mapping[str, Any]) -> Iterator[int]:
    """Yield the numbers of layers in an encoder's options, at any depth."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from encoder_layers(value)
        elif name in ('depth', 'num_hidden_layers'):
            yield value


def check_names(weights: dict[str, Tensor], expected: dict[str, Tensor], source: Path | str) -> None:
    """Raise a CheckpointError that lists the tensors that are missing, extra or misshapen."""
    misshapen = [
        f'{name} {tuple(weights[name].shape)} instead of {tuple(expected[name].shape)}'
        for name in expected
        if name in weights and weights[name].shape != expected[name].shape
    ]
    groups = {
        'missing': [name for name in expected if name not in weights],
        'extra': [name for name in weights if name not in expected],
        'misshapen': misshapen,
    }
    problems = [f'{kind} {_list(names)}' for kind, names in groups.items() if names]
    if problems:
        raise CheckpointError(f'{source}: its tensors do not fit this network: {"; ".join(problems)}.')


def check_finite(weights: dict[str, Tensor], source: Path | str) -> None:
    """Raise a CheckpointError that names a tensor with NaN or infinite values."""
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f'{source}: {name} has NaN or infinite values; get the file again.')


def _list(names: list[str]) -> str:
    more = f' and {len(names) - LISTED} more' if len(names) > LISTED else ''
    return ', '.join(names[:LISTED]) + more


def fit_crop_size(network: MoEAGIQA, weights: dict[str, Tensor], stored: Size | None = None) -> dict[str, Tensor]:
    """Return the weights, with those that depend on the crop size interpolated to the network's crop size.

    Args:
        network: the network that they are for.
        weights: as they are stored.
        stored: the crop size that they are for; None if only its being square is known.

    Raises:
        OptionError: for a ViT whose weights for crops that are no squares cannot be interpolated.
    """
    for part in ('visual', 'prior'):
        if hasattr(network, part):
            weights = fit_vit(getattr(network, part), weights, network.config.crop_size, stored, f'{part}.')
    if hasattr(network, 'inject'):
        grid = network.inject.w1.shape[-2:]
        for name in ('inject.w1', 'inject.w2'):
            if name in weights and weights[name].dim() == 4 and weights[name].shape[-2:] != grid:
                weights = weights | {name: F.interpolate(weights[name], size=grid, mode='bicubic')}
    return weights


def _require_few_patches(network: MoEAGIQA) -> None:
    """Raise an OptionError for a network with more patches than can be interpolated, or with too large constants."""
    patches = math.prod(grid_of(network.visual, network.config.crop_size, 1))
    if patches > MOST_PATCHES:
        raise OptionError(
            f'MoE-AGIQA option crop_size: a crop has {patches} patches, but at most {MOST_PATCHES} are allowed.'
        )
    constants = sum(constant.numel() for constant in network.visual.buffers())
    if constants > MOST_CONSTANTS:
        raise OptionError(
            f'MoE-AGIQA option crop_size: {network.config.visual} needs {constants} numbers for the places of a crop of '
            f'{shown(network.config.crop_size)} pixels, at most {MOST_CONSTANTS} are allowed.'
        )


def fit_vit(
    vit: nn.Module, weights: dict[str, Tensor], crop_size: Size, stored: Size | None = None, prefix: str = ''
) -> dict[str, Tensor]:
    """Return the weights with all position embeddings resized from the grid of ``stored`` crops to that of ``crop_size``.

    See ``fit_crop_size``. Embeddings that do not belong to such a grid stay as they are, for ``check_names`` to report.
    """
    if stored == crop_size:
        return weights
    fitted = {}
    for name, parameter in vit.named_parameters():
        values = weights.get(prefix + name)
        if values is None or values.dim() != parameter.dim():
            continue
        if name == 'pos_embed' and isinstance(vit, WITH_TOKENS):
            fitted[prefix + name] = _fit_position_embedding(vit, values, stored)
        elif name.endswith('relative_position_bias_table'):
            if isinstance(stored, tuple):
                raise OptionError(
                    f'MoE-AGIQA option crop_size is {shown(crop_size)}, and the weights are for {shown(stored)}: those of '
                    'a ViT with tables of relative positions cannot change from crops that are no squares; take their size.'
                )
            layer: Any = vit.get_submodule(name.rpartition('.')[0])
            fitted[prefix + name] = _fit_bias_table(layer.window_size, values, parameter)
    return weights | fitted


def _fit_position_embedding(vit: Any, values: Tensor, stored: Size | None) -> Tensor:
    first = 0 if getattr(vit, 'no_embed_class', False) else vit.num_prefix_tokens
    count = values.shape[1] - first
    side = math.isqrt(max(count, 0))
    rows, columns = (side, side) if stored is None else grid_of(vit, stored, 1)
    if count < 1 or rows * columns != count:
        return values
    return resample_abs_pos_embed(values, vit.patch_embed.grid_size, [rows, columns], num_prefix_tokens=first)


def _fit_bias_table(window: tuple[int, int], values: Tensor, table: Tensor) -> Tensor:
    others = len(table) - math.prod(2 * side - 1 for side in window)  # rows for the class token
    if not _is_square(len(values) - others):
        return values
    return resize_rel_pos_bias_table(values, window, table.shape)


def _is_square(count: int) -> bool:
    return count > 0 and math.isqrt(count) ** 2 == count
