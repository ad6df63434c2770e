"""Puts weights into a network, strictly: the error lists missing, extra and misshapen tensors by name."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from ..archs.config import MoEAGIQAConfig
from ..archs.degradation import fit_position_embedding
from ..archs.moeagiqa_arch import MoEAGIQA
from ..options import OptionError, quoted
from .file import CheckpointError

ALIGNMENT = 64  # bytes; where torch's own tensors begin
LISTED = 20
MOST_PATCHES = 2**17  # in a crop; a crop of 224 pixels has 196 patches of 16 pixels
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
    buffers = [(module, name) for module in network.modules() for name, _ in module.named_buffers(recurse=False)]
    if any(name not in _CONSTANTS for _, name in buffers):
        return make()  # a ViT with other constants, such as rotary embeddings, has to compute them
    for module, name in buffers:
        setattr(module, name, _CONSTANTS[name](getattr(module, name).shape))
    return network


# BLIP's text encoder keeps this constant outside its weights.
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
    for part in ('visual', 'prior'):
        if hasattr(network, part):
            _require_few_patches(getattr(network, part))
    return network


def network_with(config: MoEAGIQAConfig, weights: dict[str, Tensor], source: Path | str) -> MoEAGIQA:
    """Build the network of a configuration with these weights.

    Sizes are compared before the network takes memory. A configuration can come from anyone; this
    check limits it to the size of the tensors that the file really holds.

    Raises:
        CheckpointError: listing the tensors that are missing, extra or misshapen.
        OptionError: for a configuration that no network can have.
    """
    for layers in (config.experts, *encoder_layers(config.visual_options), *encoder_layers(config.semantic_options)):
        require_layers(layers, weights)
    sizes = outline(config)
    fitted = fit_crop_size(sizes, weights)
    check_names(fitted, sizes.state_dict(), source)
    with _in_a_sentence():
        network = with_constants(sizes, lambda: MoEAGIQA(config))
    network.load_state_dict(aligned(fitted), assign=True)
    network.find_shared_trunk()
    return network


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


def fit_crop_size(network: MoEAGIQA, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights, with those that depend on the crop size interpolated to the network's crop size."""
    for part in ('visual', 'prior'):
        if hasattr(network, part):
            weights = fit_vit(getattr(network, part), weights, f'{part}.pos_embed')
    if hasattr(network, 'inject'):
        grid = network.inject.w1.shape[-2:]
        for name in ('inject.w1', 'inject.w2'):
            if name in weights and weights[name].dim() == 4 and weights[name].shape[-2:] != grid:
                weights = weights | {name: F.interpolate(weights[name], size=grid, mode='bicubic')}
    return weights


def _require_few_patches(vit: VisionTransformer) -> None:
    """Raise an OptionError for a ViT with more than ``MOST_PATCHES`` patches, too many to interpolate to."""
    patches = vit.patch_embed.num_patches
    if patches > MOST_PATCHES:
        raise OptionError(
            f'MoE-AGIQA option crop_size: a crop has {patches} patches, but at most {MOST_PATCHES} are allowed.'
        )


def fit_vit(vit: VisionTransformer, weights: dict[str, Tensor], name: str = 'pos_embed') -> dict[str, Tensor]:
    """Return the weights with the position embedding resized to the ViT's grid; one that is not square stays as it is."""
    if name not in weights or 'pos_embed' not in dict(vit.named_parameters()):
        return weights
    patches = weights[name].shape[1] - vit.num_prefix_tokens if weights[name].dim() == 3 else 0
    if patches < 1 or math.isqrt(patches) ** 2 != patches:
        return weights
    return fit_position_embedding(weights, vit, name)
