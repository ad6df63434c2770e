"""Completes checkpoints that hold only trained tensors by the encoders' weights, which lie in other files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..archs.config import MoEAGIQAConfig
from ..archs.moeagiqa_arch import MoEAGIQA
from ..archs.prior_arch import PriorOptions
from ..options import quoted
from .convert import download_timm, drop_unused, read_weights
from .file import Checkpoint, CheckpointError, is_ours, read
from .find import EMBEDDED, FULL_SIZE, IMAGE_REWARD, find
from .image_reward import find_image_reward
from .load import check_finite, check_names, fit_crop_size, fit_vit, outline, require_layers
from .lora import merged
from .names import Weights, from_bert, from_clip, from_image_reward
from .partial import fingerprint, places_of
from .sources import HUB, require_bert_words, tokenizer_json, weights_file

LONGEST_CHAIN = 8  # runs, each of which starts from the one before
Within = tuple[Path, ...]
HOW_WHOLE = (
    'copy that file into the same folder, or train with save_whole: true, so that the checkpoint needs no other file'
)


def complete(checkpoint: Checkpoint, within: Within = ()) -> Checkpoint:
    """The checkpoint with the frozen tensors that its header names, checked against their fingerprint, and adapters merged.

    A header opens no path or address by itself: see ``checkpoints/partial.py``.

    Args:
        checkpoint: as ``read`` returns it.
        within: the files of the checkpoints that need this one for their frozen tensors.

    Raises:
        CheckpointError: if the frozen tensors cannot be obtained or are not those that it was trained with, or if adapters do not
            fit.
        OptionError: for adapters in a network that cannot be.
    """
    frozen = checkpoint.info.get('frozen')
    if not frozen:
        return merged(checkpoint)
    try:
        weights = _first_that_fits(checkpoint, frozen, within)
    except (ValueError, OSError) as error:
        if within:
            raise  # the outermost call words the error once for the whole chain
        raise CheckpointError(
            f'{checkpoint.path}: it holds only the trained tensors, and the frozen ones {quoted(error)}: {HOW_WHOLE}.'
        ) from None
    return merged(replace(checkpoint, weights=weights | checkpoint.weights))


def whole(path: Path) -> Checkpoint:
    """Read a checkpoint with all of its tensors and without the note of where the frozen ones lie, so that one file holds it.

    Raises:
        CheckpointError, OptionError: as ``complete`` does.
    """
    checkpoint = complete(read(path))
    return replace(checkpoint, info={name: value for name, value in checkpoint.info.items() if name != 'frozen'})


def _first_that_fits(checkpoint: Checkpoint, frozen: Mapping[str, Any], within: Within) -> Weights:
    """Return the frozen tensors from the first place whose tensors have the fingerprint that training noted."""
    failed: list[str] = []
    try:
        places = places_of(frozen, checkpoint.file)
    except CheckpointError as error:
        raise CheckpointError(_unread(error)) from None
    for sources in places:
        try:
            weights = _frozen_weights(checkpoint, sources, within)
        except (ValueError, OSError) as error:
            failed.append(_unread(error))
            continue
        weights = {name: tensor for name, tensor in weights.items() if name not in checkpoint.weights}
        if fingerprint(weights) == frozen['fingerprint']:
            return weights
        failed.append(
            f'have changed since the training ({", ".join(f"{part} {source}" for part, source in sources.items())})'
        )
    raise CheckpointError(failed[0])


def _unread(error: Exception) -> str:
    """Say why tensors cannot be read; of a chain of checkpoints only the last one's reason is given."""
    reason = quoted(error)
    return reason if reason.startswith('cannot be read (') else f'cannot be read ({reason})'


def _frozen_weights(checkpoint: Checkpoint, sources: Mapping[str, str], within: Within) -> Weights:
    """Return all weights that ``sources``, those of the frozen tensors, hold for the checkpoint's network."""
    here = checkpoint.file.resolve()
    if here in within or len(within) == LONGEST_CHAIN:
        raise CheckpointError(
            f'{here} needs its own tensors, or those of a chain of more than {LONGEST_CHAIN} checkpoints'
        )
    require_layers(checkpoint.config.experts, checkpoint.weights)
    network, within = outline(checkpoint.config), (*within, here)
    if 'checkpoint' in sources:
        source = complete(read(find(sources['checkpoint'])), within)
        return fit_crop_size(network, source.weights, source.config.crop_size)
    for part in network.config.encoders:
        if part not in sources:
            raise CheckpointError(f'its header does not say where {part} comes from')
    return encoder_weights(network, sources, within)


def encoder_weights(network: MoEAGIQA, sources: Mapping[str, str], within: Within = ()) -> Weights:
    """Read the weights of all encoders of a network, which can be an outline, from ``sources`` under its names.

    Raises:
        CheckpointError: for weights that cannot be obtained, or belong to other encoders.
    """
    weights: Weights = {}
    for part in network.config.encoders:
        module, own = _encoder(network, part, sources[part], within)
        check_names(own, module.state_dict(), sources[part])
        check_finite(own, sources[part])
        prefix = next(name for name, value in network.named_modules() if value is module)
        weights |= {f'{prefix}.{name}': tensor for name, tensor in own.items()}
    return weights


def _encoder(network: MoEAGIQA, part: str, source: str, within: Within) -> tuple[nn.Module, Weights]:
    """Return an encoder of the network, and its weights from ``source``."""
    if part == 'semantic':
        return _semantic(network, source, _ours(source, within))
    vit = getattr(network, part)
    return vit, vit_weights(vit, source, network.config, part, within)


def _semantic(network: MoEAGIQA, source: str, checkpoint: Checkpoint | None) -> tuple[nn.Module, Weights]:
    part, theirs = {'blip': ('', _blip), 'bert': ('text', _bert), 'clip': ('towers', _clip)}[network.config.semantic]
    name = f'semantic.{part}'.rstrip('.')
    return network.get_submodule(name), checkpoint.subset(name) if checkpoint else theirs(source)


def _blip(source: str) -> Weights:
    file = find_image_reward() if source == IMAGE_REWARD else weights_file(source)
    renamed = from_image_reward(read_weights(file))
    return {name.removeprefix('semantic.'): tensor for name, tensor in renamed.items()}


def _bert(source: str) -> Weights:
    require_bert_words(source)
    return from_bert(read_weights(weights_file(source)))


def _clip(source: str) -> Weights:
    content = torch.frombuffer(bytearray(tokenizer_json(source)), dtype=torch.uint8)
    return from_clip(read_weights(weights_file(source))) | {'tokenizer': content}


def _ours(source: str, within: Within = ()) -> Checkpoint | None:
    """Return the whole checkpoint that a source names; None for the weights of other libraries."""
    if source in (EMBEDDED, *FULL_SIZE) or ('://' in source and not source.startswith(HUB)):
        return complete(read(find(source)), within)
    path = None if source in ('timm', IMAGE_REWARD) else weights_file(source)
    return complete(read(path), within) if path and is_ours(path) else None


def vit_weights(
    vit: nn.Module, source: str, options: MoEAGIQAConfig | PriorOptions, part: str = 'visual', within: Within = ()
) -> Weights:
    """Return the weights of a ViT that has these options: the ``part`` of a checkpoint of this package, or timm's.

    timm's are downloaded for 'timm'; other sources are files of timm's weights or of a pre-trained prior.
    """
    checkpoint = _ours(source, within)
    weights = checkpoint.subset(part) if checkpoint else _timm_weights(source, options.visual)
    weights = drop_unused(weights, vit, options)
    return fit_vit(vit, weights, options.crop_size, checkpoint.config.crop_size if checkpoint else None)


def _timm_weights(source: str, name: str) -> Weights:
    state = download_timm(name) if source == 'timm' else read_weights(weights_file(source))
    if any(key.startswith('vit.') for key in state):  # this package's MoEAGIQAPrior, as pyiqa saves it
        state = {key.removeprefix('vit.'): tensor for key, tensor in state.items() if key.startswith('vit.')}
    return state
