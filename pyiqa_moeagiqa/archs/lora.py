r"""LoRA: training adds low-rank adapters to linear layers of an encoder, whose own weights stay as they are.

Hu et al., 'LoRA: Low-Rank Adaptation of Large Language Models', ICLR 2022. A layer with the weight :math:`W` then computes with

.. math:: W + \frac{\alpha}{r} B A, \quad W: (out, in), \quad B: (out, r), \quad A: (r, in)

B starts at zero, so that training starts from the network without adapters. A network that only scores has none:
``checkpoints/lora.py`` adds their products to the weights.
"""

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..options import OptionError
from .moeagiqa_arch import MoEAGIQA

A, B = '.lora_A.weight', '.lora_B.weight'  # in files these follow the layer's name


def adapted_layers(network: MoEAGIQA) -> dict[str, nn.Linear]:
    """Return, by name, the layers to which training adds adapters; ``network`` has none yet.

    They are the linear layers in the encoders of ``lora_towers`` whose input and output both have more channels than
    ``lora_rank``. In the semantic network those of the ``frozen_share`` are left out.

    Raises:
        OptionError: if an encoder has no such layer.
    """
    names = {module: name for name, module in network.named_modules()}
    return {names[layer]: layer for layers in _by_tower(network).values() for layer in layers.values()}


def _by_tower(network: MoEAGIQA) -> dict[nn.Module, dict[str, nn.Linear]]:
    """Return these layers for each encoder, under their names within it."""
    config, found = network.config, {}
    for part in config.lora_towers:
        for tower in network.semantic.encoders if part == 'semantic' else [getattr(network, part)]:
            frozen = {module for other in network.frozen if other is not tower for module in other.modules()}
            linear = {name: layer for name, layer in tower.named_modules() if isinstance(layer, nn.Linear)}
            found[tower] = {
                name: layer
                for name, layer in linear.items()
                if layer not in frozen and min(layer.in_features, layer.out_features) > config.lora_rank
            }
            if not found[tower]:
                raise OptionError(
                    f'MoE-AGIQA option lora_rank is {config.lora_rank}: no layer of {part!r} is linear and has more channels; '
                    'take a lower rank, or leave this encoder out of lora_towers.'
                )
    return found


def add_adapters(network: MoEAGIQA) -> None:
    """Add new adapters to a network that has its weights; of their encoders nothing else is trained from then on.

    Raises:
        OptionError: if an encoder has no layer for adapters, or if peft is not installed.
    """
    config = network.config
    # peft imports bitsandbytes where it is installed; users need no notes on what that misses.
    logging.getLogger('bitsandbytes').setLevel(logging.ERROR)
    try:
        from peft import LoraConfig, inject_adapter_in_model  # its import takes seconds
    except ImportError:
        raise OptionError(
            f'network option lora_rank is {config.lora_rank}: training with adapters needs peft; install it with pip '
            'install peft.'
        ) from None
    for tower, layers in _by_tower(network).items():
        adapters = LoraConfig(r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules=list(layers))
        inject_adapter_in_model(adapters, tower)
        # Some of timm's attentions read the layer's weight, past the adapter, unless the bias is added by itself.
        attentions: list[Any] = [part for part in tower.modules() if hasattr(part, 'qkv_bias_separate')]
        for attention in attentions:
            attention.qkv_bias_separate = True
        network.frozen = [part for part in network.frozen if part is not tower]
    network.find_shared_trunk()


def plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a network's tensors under their names in files, which have nothing of peft's modules in them."""
    return {name.replace('.base_layer.', '.').replace('.default.', '.'): tensor for name, tensor in tensors.items()}
