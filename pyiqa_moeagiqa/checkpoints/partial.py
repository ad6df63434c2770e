"""For checkpoints that hold trained tensors only: what tells the frozen ones from others, and where they are."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor


def fingerprint(weights: Mapping[str, Tensor], beside: str = '') -> str:
    """SHA-256 over tensors' names, shapes and values, in the order of their names, and over a text beside them."""
    digest = hashlib.sha256(beside.encode())
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def portable(weights: Mapping[str, str]) -> dict[str, str]:
    """Where frozen parts come from, with files named so that they are found from any folder."""
    return {
        part: str(Path(source).expanduser().resolve()) if Path(source).expanduser().is_file() else source
        for part, source in weights.items()
    }
