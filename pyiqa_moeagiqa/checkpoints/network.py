"""Loads the network of a checkpoint, ready to score."""

from pathlib import Path
from typing import Any

from ..archs.moeagiqa_arch import MoEAGIQA
from ..images.size import Size
from ..options import OptionError, quoted
from .complete import complete
from .file import CheckpointError, read
from .load import network_with, require_room_for_prompts
from .onnx_network import OnnxNetwork, load_graph


def load_network(path: Path, crop_size: Size | None = None) -> tuple[MoEAGIQA | OnnxNetwork, dict[str, Any]]:
    """Load the network of a checkpoint or an exported graph, in evaluation mode, and its header's info.

    Args:
        path: the checkpoint's file, as ``find`` returns it.
        crop_size: crop size in pixels (a side, or height and width), if not the checkpoint's; position embeddings, w1 and w2 are interpolated to it.

    Raises:
        CheckpointError: for a checkpoint that cannot be used.
        ValueError: for a crop size that the network cannot have.
    """
    if path.suffix == '.onnx':
        if crop_size is not None:
            raise CheckpointError(
                f'{path}: crop_size is {crop_size}, but an ONNX graph keeps the one that it was exported with; leave crop_size out.'
            )
        return load_graph(path)
    try:
        checkpoint = complete(read(path))
        config = checkpoint.config if crop_size is None else checkpoint.config.changed(crop_size=crop_size)
        network = network_with(config, checkpoint.weights, path, checkpoint.config.crop_size)
        require_room_for_prompts(network)
    except OptionError as error:
        if crop_size is not None:
            raise
        raise CheckpointError(f'{path}: its header cannot be used ({quoted(error)}); get the file again.') from None
    return network.eval(), checkpoint.info
