"""One self-describing file: safetensors whose header holds the network's whole configuration and where it comes from.

Matrices may be stored as int8 with one scale per row (``name`` and ``name + '.scale'``), other tensors as float16; both
are float32 again after reading. Nothing in such a file can run.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..archs.config import MoEAGIQAConfig

FORMAT = 'moeagiqa-1'
SCALE = '.scale'


class CheckpointError(ValueError):
    """A checkpoint that cannot be used, said in one sentence."""


@dataclass
class Checkpoint:
    """A network's configuration and weights, and what is known about them.

    ``info`` holds ``model_name`` ('moeagiqa', 'moeagiqa-v1', 'moeagiqa-v2'), ``dataset``, ``mos_range``, ``licence``,
    ``figures`` (what was reached where) and ``sources``; ``weights`` are float32 tensors under the network's names.
    """

    config: MoEAGIQAConfig
    weights: dict[str, Tensor]
    info: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    def subset(self, prefix: str) -> dict[str, Tensor]:
        """The weights of one part, without the part's name."""
        start = prefix + '.'
        return {name[len(start) :]: tensor for name, tensor in self.weights.items() if name.startswith(start)}


def save(checkpoint: Checkpoint, path: Path | str, half: bool = False, int8_parts: tuple[str, ...] = ()) -> Path:
    """Write a checkpoint; a file of that name is replaced only once the new one is whole.

    Args:
        checkpoint: what to write.
        path: where; folders are made.
        half: store float16 instead of float32.
        int8_parts: prefixes of matrices that are stored as int8 with a float32 scale per row.

    Raises:
        CheckpointError: for a weight that is not finite.
    """
    path = Path(path)
    tensors = {}
    for name, tensor in checkpoint.weights.items():
        tensor = tensor.detach().cpu().contiguous()
        if not tensor.isfinite().all():
            raise CheckpointError(f'{path}: not written, because {name} has NaN or infinite values.')
        if name.startswith(int8_parts) and tensor.dim() == 2 and int8_parts:
            tensors[name], tensors[name + SCALE] = quantise_rows(tensor)
        else:
            tensors[name] = tensor.half() if half else tensor
    metadata = {
        'format': FORMAT,
        'config': json.dumps(checkpoint.config.to_dict()),
        'info': json.dumps(checkpoint.info),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + f'.part{os.getpid()}')
    try:
        save_file(tensors, part, metadata)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def quantise_rows(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """int8 values and one float32 scale per row, so that ``values * scale`` is within half a step of the matrix."""
    scale = matrix.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
    return (matrix / scale).round().to(torch.int8), scale.float()


def read(path: Path | str) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: for a file that is missing, cut short, no MoE-AGIQA checkpoint, or holds NaN.
    """
    path = Path(path)
    config, info = read_header(path)
    with safe_open(path, framework='pt') as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    weights = {}
    for name, tensor in tensors.items():
        if name.endswith(SCALE) and name.removesuffix(SCALE) in tensors:
            continue
        scale = tensors.get(name + SCALE, 1)
        weights[name] = tensor.float() * scale
        if not weights[name].isfinite().all():
            raise CheckpointError(f'{path}: {name} has NaN or infinite values; train or download the file again.')
    return Checkpoint(config, weights, info, path)


def read_header(path: Path | str) -> tuple[MoEAGIQAConfig, dict[str, Any]]:
    """Configuration and info alone, without reading the weights; raises as ``read`` does."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'{path}: there is no such checkpoint file.')
    with path.open('rb') as file:
        start = file.read(2)
    if start == b'PK' or start[:1] == b'\x80':
        raise CheckpointError(
            f'{path}: a PyTorch pickle, which could run code, is not read; turn it into a checkpoint with '
            '"moeagiqa convert".'
        )
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f'{path}: cut short or no safetensors file ({error}); copy it again.') from None
    if metadata.get('format') != FORMAT:
        raise CheckpointError(
            f'{path}: a safetensors file, but no MoE-AGIQA checkpoint (its header lacks format {FORMAT!r}).'
        )
    try:
        return MoEAGIQAConfig.from_options(json.loads(metadata['config'])), json.loads(metadata.get('info', '{}'))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f'{path}: its header cannot be used ({error}); is it from a newer version?') from None


def is_ours(path: Path | str) -> bool:
    """Whether a file is a checkpoint of this package; what it holds else is not looked into."""
    try:
        with safe_open(path, framework='pt') as file:
            return (file.metadata() or {}).get('format') == FORMAT
    except (SafetensorError, OSError):
        return False


def file_hash(path: Path | str) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
