"""An exported network, run by ONNX Runtime in the place of torch: for processors, in float32 the faster of the two."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..archs.experts import ExpertScores
from ..archs.moeagiqa_arch import Assessment
from .file import CheckpointError, parse_header


class Pixels(NamedTuple):
    """What the graph will look at: crops (N, n, 3, S, S) and view (N, 3, V, V) in [0, 1]."""

    crops: Tensor
    view: Tensor


class OnnxNetwork(nn.Module):
    """Stands for a MoEAGIQA network: the same ``encode`` and ``assess``, both done by the graph.

    Args:
        path: what ``export`` wrote.

    Raises:
        CheckpointError: where onnxruntime is not installed, or for a file that is no such graph.
    """

    def __init__(self, path: Path):
        super().__init__()
        try:
            import onnxruntime
        except ImportError:
            raise CheckpointError(
                f'{path}: an ONNX graph needs onnxruntime; install it with pip install onnxruntime.'
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        except Exception as error:  # onnxruntime's own kinds, which it does not document
            reason = str(error).splitlines()[0].rstrip('.')
            raise CheckpointError(f'{path}: no ONNX graph that can be run ({reason}); export it again.') from None
        self.config, self.info = parse_header(self.session.get_modelmeta().custom_metadata_map, path)
        crops, view, *_ = self.session.get_inputs()
        self.crops, self.view_size = crops.shape[1], view.shape[-1]
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # so that it has a device, as other networks do

    def encode(self, crops: Tensor, view: Tensor) -> Pixels:
        """The graph encodes and assesses at once, so nothing is done yet.

        Raises:
            CheckpointError: for images that are to get a gradient.
        """
        if crops.requires_grad:
            raise CheckpointError(
                'An ONNX graph gives images no gradient; take the checkpoint that it was exported from.'
            )
        return Pixels(crops, view)

    def assess(self, pixels: Pixels, ids: Tensor, mask: Tensor) -> Assessment:
        """As ``MoEAGIQA.assess``, without the embeddings of the matching."""
        given = {'crops': pixels.crops, 'view': pixels.view, 'ids': ids, 'mask': mask}
        wanted = [f'{target}_{part}' for target in self.config.targets for part in ('crops', 'gate', 'chosen')]
        answers = self.session.run(wanted, {name: tensor.cpu().numpy() for name, tensor in given.items()})
        tensors = iter(torch.from_numpy(answer).to(ids.device) for answer in answers)
        return Assessment(
            {target: ExpertScores(next(tensors), next(tensors), next(tensors)) for target in self.config.targets}, None
        )


def load_graph(path: Path) -> tuple[OnnxNetwork, dict[str, Any]]:
    """The network of an exported file, and what its header says."""
    if not path.is_file():
        raise CheckpointError(f'{path}: there is no such file; give the path of what "moeagiqa export" wrote.')
    network = OnnxNetwork(path)
    return network, network.info
