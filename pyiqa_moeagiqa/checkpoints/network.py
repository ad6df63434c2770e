"""The network of a checkpoint, ready to score."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..archs.config import MoEAGIQAConfig
from ..archs.moeagiqa_arch import MoEAGIQA
from .file import CheckpointError, read
from .find import find
from .load import build_network, load_weights
from .onnx_network import OnnxNetwork, load_graph
from .start import complete


def load_network(source: str | Path, crop_size: int | None = None) -> tuple[MoEAGIQA | OnnxNetwork, dict[str, Any]]:
    """The network of a checkpoint or of an exported graph, in evaluation mode, and what its header says about it.

    Args:
        source: 'moeagiqa', 'moeagiqa-v1', 'moeagiqa-v2', a file, ``https://...`` or ``hf://owner/repo/file``.
        crop_size: another crop size in pixels than the checkpoint's; position embeddings, w1 and w2 are interpolated.

    Raises:
        CheckpointError: for a checkpoint that cannot be had or used.
        ValueError: for a crop size that the network cannot have.
    """
    path = find(source)
    if path.suffix == '.onnx':
        if crop_size is not None:
            raise CheckpointError(f'{path}: crop_size is {crop_size}, but a graph has its own; export it again.')
        return load_graph(path)
    checkpoint = complete(read(path))
    if crop_size is None:
        network = _build_from_header(checkpoint.config, path)
    else:
        network = build_network(replace(checkpoint.config, crop_size=crop_size))
    load_weights(network, checkpoint.weights, path)
    return network.eval(), checkpoint.info


def _build_from_header(config: MoEAGIQAConfig, path: Path) -> MoEAGIQA:
    try:
        return build_network(config)
    except (ValueError, TypeError) as error:
        reason = str(error).rstrip('.')
        raise CheckpointError(f'{path}: its header cannot be used ({reason}); get the file again.') from None
