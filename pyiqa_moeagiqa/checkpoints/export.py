"""Exports a checkpoint as an ONNX graph, for programs without torch."""

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from ..archs.moeagiqa_arch import MoEAGIQA, mean_over_crops
from ..archs.tokenizer import tokenize
from ..images.size import height_width
from ..options import OptionError
from ..whole_file import require_place, whole_file
from .file import header
from .find import find
from .network import load_network
from .onnx_network import TOKENIZER_JSON

NAMES = ('crops', 'view', 'ids', 'mask')


PARTS = ('', '_crops', '_gate', '_chosen')
LARGEST = 1536 * 2**20  # bytes; an ONNX file holds less than 2 GiB, and larger weights would need a second file


class Scores(nn.Module):
    """Gives the network's answer as plain tensors.

    For each target they are the score (N, 1), its crops' scores (N, n), gate (N, n, experts) and chosen (N, n, k).
    """

    def __init__(self, network: MoEAGIQA):
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor, view: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        answers = []
        for scores in self.network(crops, view, ids, mask).targets.values():
            answers += [mean_over_crops(scores.score, self.network.config), *scores]
        return tuple(answers)


def export(output: Path | str, weights: str = 'moeagiqa', crops: int | None = None) -> Path:
    """Write a checkpoint's network as ONNX, weights included.

    ``images/views.py`` and ``tokenize`` make its inputs from images and prompts: float ``crops`` (N, n, 3, S, S) and
    ``view`` (N, 3, V, V) in [0, 1], int64 ``ids`` and ``mask`` (N, 35). N is free, n is fixed. Its outputs are named by
    the targets: ``quality`` (N, 1), and its crops' scores, gate and chosen experts as ``quality_crops`` and so on. Its
    metadata is a checkpoint's header, and the ``tokenizer.json`` of a 'clip', so that ``create_metric(..., pretrained_model_path='model.onnx')`` can run it.

    Args:
        output: the file, ``.onnx``.
        weights: a model name or checkpoint, as ``create_metric`` takes them.
        crops: n; by default the number that the checkpoint was tested with.

    Raises:
        OptionError: for another ending, or if onnxscript is not installed.
        OptionError: for a network that is too large for one file, such as the full-size ones.
        CheckpointError: for weights that cannot be obtained or used.
    """
    output = Path(output)
    if output.suffix != '.onnx':
        raise OptionError(f'{output}: the output must end in .onnx.')
    try:
        import onnxscript  # noqa: F401  (torch.onnx needs it)
    except ImportError:
        raise OptionError('The export needs onnxscript; install it with pip install onnxscript.') from None
    require_place(output)
    network, info = load_network(find(weights))
    if not isinstance(network, MoEAGIQA):
        raise OptionError(f'{weights}: it is exported already; copy it.')
    size = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    if size > LARGEST:
        raise OptionError(
            f'{weights}: its weights are {size / 2**30:.1f} GiB, and an ONNX file holds less than 2; export a smaller network.'
        )
    config = network.config
    crop, view = (height_width(size) for size in (config.crop_size, network.view_size))
    ids, mask, _ = tokenize(['a cat in the snow', 'a dog'], config.prompt_tokens, network.tokenizer)
    images = torch.rand(2, crops or config.crops, 3, *crop), torch.rand(2, 3, *view)
    for name in ('torch.onnx', 'onnxscript', 'onnx_ir'):
        logging.getLogger(name).setLevel(logging.ERROR)  # users need no notes on what these could not simplify
    with torch.no_grad(), whole_file(output) as part:
        program = torch.onnx.export(
            Scores(network).eval(),
            (*images, ids, mask),
            input_names=NAMES,
            output_names=[f'{target}{ending}' for target in config.targets for ending in PARTS],
            dynamic_shapes=[{0: torch.export.Dim.DYNAMIC}] * len(NAMES),
            verbose=False,
        )
        assert program is not None  # torch returns one where it is given no file
        program.model.metadata_props.update(header(config, info))
        if config.reads_own_tokenizer:
            program.model.metadata_props[TOKENIZER_JSON] = network.semantic.tokenizer_json.decode()
        program.save(part, external_data=False)
    return output
