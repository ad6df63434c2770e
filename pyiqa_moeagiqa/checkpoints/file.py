"""Reads and writes self-describing files: safetensors whose header holds the network's configuration and its origin.

Matrices can be stored as int8 with one scale per row (``name`` and ``name + '.scale'``), other tensors as float16; both
are float32 again after reading. Nothing in such a file can run.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..archs.config import MoEAGIQAConfig
from ..options import quoted
from ..section import Range, Section
from ..tree import check_tree
from ..whole_file import whole_file

FORMAT = 'moeagiqa-1'
SCALE = '.scale'
TOKENIZER = '.tokenizer'  # end of the name under which a text encoder's tokenizer.json lies among the weights, as uint8
FRONT = 1 << 20  # bytes at the start of a file, where PyTorch's files and safetensors list the names of tensors


class Intervals(Section):
    """Per target the lower and upper quantile of MOS minus score."""

    quality: Range = None
    alignment: Range = None
    authenticity: Range = None


class CheckpointError(ValueError):
    """Raised, with one sentence, for a checkpoint that cannot be used."""


@dataclass
class Checkpoint:
    """A network's configuration and weights, and what is known about them.

    ``info`` holds ``model_name`` ('moeagiqa', 'moeagiqa-v1', 'moeagiqa-v2'), ``dataset``, ``mos_range``, ``licence``,
    ``figures`` (results by data set) and ``sources``. It can also hold ``split`` (the name of the data set's split column) and
    ``interval``: per target the lower and upper quantile of MOS minus score (both in [0, 1]) on prompts that training had not
    seen. ``weights`` are float32 tensors under the network's names.
    """

    config: MoEAGIQAConfig
    weights: dict[str, Tensor]
    info: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    @property
    def file(self) -> Path:
        """The file that it was read from."""
        assert self.path is not None
        return self.path

    def subset(self, prefix: str) -> dict[str, Tensor]:
        """Return the weights of one part, under names without the part's own."""
        start = prefix + '.'
        return {name[len(start) :]: tensor for name, tensor in self.weights.items() if name.startswith(start)}


def save(checkpoint: Checkpoint, path: Path | str, half: bool = False, int8_parts: tuple[str, ...] = ()) -> Path:
    """Write a checkpoint; a file of that name is replaced only once the new one is whole.

    Args:
        checkpoint: what to write.
        path: the file to write; missing folders are made.
        half: store float16 instead of float32.
        int8_parts: prefixes of matrices that are stored as int8 with a float32 scale per row.

    Raises:
        CheckpointError: for a weight that is not finite, or a place that cannot be written.
    """
    path = Path(path)
    tensors: dict[str, Tensor] = {}
    for name, tensor in checkpoint.weights.items():
        tensors |= _encode(name, tensor, half, name.startswith(int8_parts))
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CheckpointError(
                f'{path}: not written, because {name} has NaN, infinite values or values too large for {tensor.dtype}.'
            )
    write_whole(tensors, path, header(checkpoint.config, checkpoint.info))
    return path


def header(config: MoEAGIQAConfig, info: dict[str, Any]) -> dict[str, str]:
    """Make the metadata that a file stores: format, configuration and info."""
    return {'format': FORMAT, 'config': json.dumps(config.to_dict()), 'info': json.dumps(info)}


def _encode(name: str, tensor: Tensor, half: bool, as_int8: bool) -> dict[str, Tensor]:
    """Return the tensors that are stored for one tensor, by name."""
    tensor = tensor.detach().cpu().contiguous()
    if as_int8 and tensor.dim() == 2:
        values, scale = quantise_rows(tensor)
        return {name: values, name + SCALE: scale}
    return {name: tensor.half() if half and tensor.is_floating_point() else tensor}


def write_whole(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file whole or not at all.

    Raises:
        CheckpointError: for a place that cannot be written.
    """
    try:
        with whole_file(path) as part:
            part.touch()
            mode = part.stat().st_mode  # safetensors makes files that only their owner can read
            save_file(tensors, part, metadata)
            part.chmod(mode)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f'{path}: not written ({error}); choose another place or make room there.') from None


def quantise_rows(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 values and one float32 scale per row: ``values * scale`` is within half a step of the matrix."""
    scale = matrix.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
    return (matrix / scale).round().to(torch.int8), scale.float()


def read(path: Path | str) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: for a file that is missing, cut short or no MoE-AGIQA checkpoint, or holds NaN or infinite values.
    """
    path = Path(path)
    with _open(path) as file:
        config, info = parse_header(file.metadata() or {}, path)
        try:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except Exception as error:  # for a type that torch lacks, safetensors raises various errors
            raise CheckpointError(
                f'{path}: its tensors cannot be read ({quoted(error)}); get the file again.'
            ) from None
    scales = {name for name in stored if name.endswith(SCALE) and name.removesuffix(SCALE) in stored}
    weights = {name: _decode(name, stored, path) for name in stored if name not in scales}
    return Checkpoint(config, weights, info, path)


def _decode(name: str, stored: dict[str, Tensor], path: Path) -> Tensor:
    """Return one tensor as float32, or a tokenizer as it is, from the tensors that ``_encode`` made of it."""
    kind = stored[name].dtype
    if name.endswith(TOKENIZER) and kind == torch.uint8 and stored[name].dim() == 1:
        return stored[name]
    tensor = stored[name] if kind.is_complex else stored[name].float()
    if kind == torch.int8:
        scale = stored.get(name + SCALE)
        if tensor.dim() != 2 or scale is None or scale.shape != (len(tensor), 1) or not scale.is_floating_point():
            raise CheckpointError(f'{path}: {name} is int8 and lacks its scale per row; get the file again.')
        tensor = tensor * scale.float()
    elif not kind.is_floating_point:
        raise CheckpointError(f'{path}: {name} holds {kind}, which is no type of weights; get the file again.')
    # aminmax takes one pass over all values, isfinite several; one NaN makes both extremes NaN.
    if tensor.numel() and not torch.stack(tensor.aminmax()).isfinite().all():
        raise CheckpointError(f'{path}: {name} has NaN or infinite values; train or download the file again.')
    return tensor


def read_header(path: Path | str) -> tuple[MoEAGIQAConfig, dict[str, Any]]:
    """Read configuration and info only, not the weights; raises as ``read`` does."""
    path = Path(path)
    with _open(path) as file:
        return parse_header(file.metadata() or {}, path)


def parse_header(metadata: Mapping[str, str], path: Path) -> tuple[MoEAGIQAConfig, dict[str, Any]]:
    """Return configuration and info from metadata that ``header`` made, for any kind of file."""
    if not metadata.get('format', '').startswith('moeagiqa-'):
        kind = 'an ONNX graph' if path.suffix == '.onnx' else 'a safetensors file'
        raise CheckpointError(
            f'{path}: {kind}, but no MoE-AGIQA checkpoint (its header lacks format {FORMAT!r}); give one '
            'that this package wrote.'
        )
    try:
        options, info = json.loads(metadata['config']), json.loads(metadata.get('info', '{}'))
        check_tree([options, info])
        newer = _newer_than_this_version(metadata['format'], options)
        config = MoEAGIQAConfig.from_options({} if newer else options)
        _check_interval(info)
    except RecursionError:
        raise CheckpointError(f'{path}: its header is nested too deeply; get the file again.') from None
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f'{path}: its header cannot be used ({quoted(error)}); get the file again.') from None
    if newer:
        raise CheckpointError(
            f'{path}: it was written by a newer version (its header has {newer}); update pyiqa-moeagiqa.'
        )
    return config, info if isinstance(info, dict) else {}


def _check_interval(info: Any) -> None:
    interval = info.get('interval', {}) if isinstance(info, dict) else {}
    Intervals.check(interval, 'interval')


def _newer_than_this_version(stored_format: str, options: dict[str, Any]) -> str:
    """Name the parts of a header that this version does not know; empty if it knows all."""
    if stored_format != FORMAT:
        return f'format {stored_format!r}'
    unknown = set(options) - set(MoEAGIQAConfig.model_fields)
    return f'option {", ".join(sorted(unknown))}' if unknown else ''


def _open(path: Path) -> safe_open:
    require_file(path)
    try:
        return safe_open(path, framework='pt')
    except (SafetensorError, OSError) as error:
        if holds_image_reward(path):
            raise CheckpointError(
                f"{path}: ImageReward's file, no MoE-AGIQA checkpoint; score with the metric imagereward."
            ) from None
        if _looks_like_a_pickle(path):
            raise CheckpointError(
                f'{path}: a PyTorch pickle, which could run code, is not read; turn it into a checkpoint with '
                '"moeagiqa convert".'
            ) from None
        raise CheckpointError(f'{path}: cut short or no safetensors file ({error}); copy it again.') from None


def _looks_like_a_pickle(path: Path) -> bool:
    # Call only after safetensors rejected the file: its first 8 bytes are a length and can match by chance.
    with path.open('rb') as file:
        start = file.read(2)
    return start == b'PK' or start[:1] == b'\x80'


def require_file(path: Path) -> None:
    """Raise a CheckpointError if ``path`` is not an existing file."""
    if path.is_dir():
        raise CheckpointError(f'{path}: a folder, not a file; give the file in it.')
    if not path.is_file() and os.path.lexists(path):
        raise CheckpointError(f'{path}: a pipe, a device or a dead link, not a file; give a file.')
    if not path.is_file():
        raise CheckpointError(f'{path}: there is no such file; check its name and folder.')


def is_ours(path: Path | str) -> bool:
    """Whether a file is a checkpoint of this package; only the format in its header is checked."""
    try:
        with safe_open(path, framework='pt') as file:
            return (file.metadata() or {}).get('format', '').startswith('moeagiqa-')
    except (SafetensorError, OSError):
        return False


def holds_image_reward(path: Path | str) -> bool:
    """Whether a file is ImageReward's: it names the score head, and is not the released MoE-AGIQA, which contains it.

    The names are searched for as bytes; nothing is unpickled.
    """
    with Path(path).open('rb') as file:
        front = file.read(FRONT)
    return b'mlp.layers.0.weight' in front and b'reward_model_state_dict' not in front
