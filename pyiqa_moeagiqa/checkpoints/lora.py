"""Merges LoRA adapters into the weights of the layers that they belong to."""

from dataclasses import replace

import torch
from torch import Tensor

from ..archs.lora import A, B, adapted_layers
from .file import Checkpoint
from .load import check_names, outline, require_layers

STEPS = 2**22  # from 0 to a matrix's largest value; STEPS x STEPS x HIGHEST_RANK is below 2^53


def merged(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint of the same network without adapters, whose weights are W + (alpha / r) B A.

    Raises:
        CheckpointError: listing the adapters' tensors that are missing, extra or misshapen.
        OptionError: for a configuration that no network can have.
    """
    config, weights = checkpoint.config, checkpoint.weights
    if not config.lora_rank:
        return checkpoint
    require_layers(config.experts, weights)
    expected: dict[str, Tensor] = {}
    layers = adapted_layers(outline(config))
    for name, layer in layers.items():
        expected[f'{name}.weight'] = layer.weight
        expected[name + A] = torch.empty(config.lora_rank, layer.in_features, device='meta')
        expected[name + B] = torch.empty(layer.out_features, config.lora_rank, device='meta')
    adapters = {name for name in weights if name.endswith((A, B))}
    check_names(
        {name: weights[name] for name in weights if name in expected or name in adapters}, expected, checkpoint.file
    )
    scale = config.lora_alpha / config.lora_rank
    sums = {
        f'{name}.weight': weights[f'{name}.weight'] + _product(weights[name + B], weights[name + A], scale)
        for name in layers
    }
    others = {name: tensor for name, tensor in weights.items() if name not in adapters}
    return replace(checkpoint, config=config.changed(lora_rank=0), weights=others | sums)


def _product(b: Tensor, a: Tensor, scale: float) -> Tensor:
    """Compute ``scale * b @ a`` in float32, to the same bits on any machine.

    A run that starts from the merged weights notes their fingerprint, and a matrix product's last bits depend on the processor.
    Sums of whole numbers are exact, so the factors are rounded to steps of their largest value / ``STEPS``.
    """
    (b, b_step), (a, a_step) = _whole_numbers(b), _whole_numbers(a)
    return ((b @ a) * (b_step * a_step * scale)).float()


def _whole_numbers(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return a matrix in steps, as whole numbers in float64, and the step."""
    matrix = matrix.double()
    step = matrix.abs().max().clamp(min=torch.finfo().tiny) / STEPS
    return (matrix / step).round(), step
