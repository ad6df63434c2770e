"""Tiny networks with every part of the full-size one, for tests that need no weights."""

from pathlib import Path

import torch

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints import Checkpoint, save
from pyiqa_moeagiqa.images.size import height_width

TINY = {
    'visual': 'vit_tiny_patch16_224',
    'visual_options': {'embed_dim': 32, 'depth': 4, 'num_heads': 2},
    'layers': (2, 3),
    'semantic': 'bert',
    'semantic_options': {'hidden_size': 32, 'num_hidden_layers': 2, 'num_attention_heads': 2, 'intermediate_size': 64},
    'frozen_share': 1.0,
    'prior': False,
    'channels': 32,
    'hidden': 32,
    'heads': 2,
    'matching': 16,
    'targets': ('quality', 'alignment'),
    'crop_size': 64,
    'crops': 2,
}
# Everything that differs between the compact network and the paper's.
COMPACT_LIKE = {
    'token_pool': 2,
    'class_tokens': True,
    'norm_layers': True,
    'view_is_crop': True,
    'whole_view': True,
    'crop_scales': (80, 60, 0),
    'crop_weights': (3, 2, 1),
    'linear': True,
    'matching_gates': True,
    'crops': 3,
}
TINY_BLIP = {
    'semantic': 'blip',
    'matching': 0,
    'frozen_share': 0.5,
    'semantic_options': {'vision': TINY['semantic_options'] | {'image_size': 32}, 'text': TINY['semantic_options']},
}
TINY_CLIP = {
    'semantic': 'clip',
    'matching': 24,
    'frozen_share': 0.5,
    'semantic_options': {
        'vision': TINY['semantic_options'] | {'image_size': 32, 'patch_size': 16},
        'text': TINY['semantic_options'],
        'projection_dim': 24,
    },
}
TINY_SIGLIP = {
    'matching': 32,
    'semantic_options': TINY_CLIP['semantic_options'] | {'family': 'siglip', 'projection_dim': 32},
    'prompt_tokens': 77,
}
# The network of tests/reference/image_reward.npz.
TINY_IMAGE_REWARD = {
    'vision': {
        'hidden_size': 64,
        'intermediate_size': 256,
        'num_hidden_layers': 3,
        'num_attention_heads': 4,
        'image_size': 48,
    },
    'text': {
        'hidden_size': 48,
        'intermediate_size': 192,
        'num_hidden_layers': 2,
        'num_attention_heads': 4,
        'max_position_embeddings': 64,
    },
}


def config(**changes) -> MoEAGIQAConfig:
    """The tiny configuration with changes."""
    return MoEAGIQAConfig.from_options(TINY | changes)


def let_all_count(network) -> None:
    """Let gates and linear score of a network count, which at the start they do not."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.linear.parameters() if network.config.linear else ():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
        if network.config.matching_gates:
            for name, value in (('floor', 0.2), ('threshold', 0.05), ('steepness', 9.0), ('gain', 1.5)):
                getattr(network.matching, name).fill_(value)


def made(**changes) -> MoEAGIQA:
    """The tiny network with changes of its configuration: random weights, always the same, which all count."""
    torch.manual_seed(0)
    network = MoEAGIQA(config(**changes))
    let_all_count(network)
    return network


def saved(network: MoEAGIQA, path: Path) -> Path:
    """The network's checkpoint, written to a file."""
    return save(Checkpoint(network.config, network.state_dict(), {'model_name': 'tiny'}), path)


def inputs(network, images: int = 2) -> tuple[torch.Tensor, ...]:
    """Crops, view, ids and mask that the network takes, always the same."""
    generator = torch.Generator().manual_seed(0)
    size, view = (height_width(size) for size in (network.config.crop_size, network.view_size))
    crops = torch.rand(images, network.config.crops, 3, *size, generator=generator)
    ids = torch.randint(1000, 2000, (images, network.config.prompt_tokens), generator=generator)
    return crops, torch.rand(images, 3, *view, generator=generator), ids, torch.ones_like(ids)
