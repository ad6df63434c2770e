"""The reference cases: tensors filled by the rule, and how far an answer is from the released implementation's."""

import json
from pathlib import Path

import numpy as np
import torch
from reference.weights_rule import fill, inputs

FOLDER = Path(__file__).parent
CASES = json.loads((FOLDER / 'reference_cases.json').read_text())
GOLDEN = np.load(FOLDER / 'reference_cases.npz')
_VISION, _TEXT = CASES['tiny_blip_config']['vision'], CASES['tiny_blip_config']['text']
_TEXT_SIZES = ('vocab_size', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads')
TINY_BLIP_SIZES = {
    'vision': {
        'hidden_size': _VISION['embed_dim'],
        'intermediate_size': 4 * _VISION['embed_dim'],
        'num_hidden_layers': _VISION['depth'],
        'num_attention_heads': _VISION['num_heads'],
        'image_size': _VISION['image_size'],
    },
    'text': {name: _TEXT[name] for name in (*_TEXT_SIZES, 'max_position_embeddings')},
}


def tensors(case: str, sizes: dict[int, int] | None = None) -> dict[str, torch.Tensor]:
    """A case's tensors; ``sizes`` makes some of their sides smaller."""
    shapes = {name: tuple((sizes or {}).get(n, n) for n in shape) for name, shape in CASES['tensors'][case].items()}
    return {name: torch.from_numpy(fill(name, shape)) for name, shape in shapes.items()}


def given(name: str, *shape: int) -> torch.Tensor:
    """The input of that name."""
    return torch.from_numpy(inputs(name, shape))


def difference(ours: torch.Tensor, golden: str) -> float:
    """The largest, from the answer of that name."""
    expected = GOLDEN[golden]
    return float(np.abs(ours.detach().numpy().reshape(expected.shape) - expected).max())
