"""Runs an exported network by ONNX Runtime instead of torch: on processors and in float32 it is the faster of the two."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..archs.encoder_options import SIDE
from ..archs.experts import ExpertScores
from ..archs.moeagiqa_arch import Assessment
from ..archs.tokenizer import PromptTokenizer, bert_tokenizer, clip_tokenizer
from ..images.size import height_width
from ..options import OptionError, quoted
from .file import CheckpointError, parse_header, require_file

TOKENIZER_JSON = 'tokenizer'  # where a graph's metadata holds the tokenizer.json of a 'clip'


class Pixels(NamedTuple):
    """The graph's input of images: crops (N, n, 3, S, S) and view (N, 3, V, V) in [0, 1]."""

    crops: Tensor
    view: Tensor


class OnnxNetwork(nn.Module):
    """Stands in for a MoEAGIQA network: it has the same ``encode`` and ``assess``, and the graph does the work of both.

    Args:
        path: a file that ``export`` wrote.

    Raises:
        CheckpointError: if onnxruntime is not installed, or for a file that is no such graph.
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
        except Exception as error:  # onnxruntime's own error types, which it does not document
            reason = quoted(error)
            raise CheckpointError(
                f'{path}: it is not an ONNX graph that can be run ({reason}); export it again.'
            ) from None
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.config, self.info = parse_header(metadata, path)
        self.path = path
        self.tokenizer = self._tokenizer(metadata.get(TOKENIZER_JSON, ''))
        self.crops, self.view_size = self._sizes()
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # so that it has a device, as other networks do

    def _tokenizer(self, content: str) -> PromptTokenizer:
        """Make the tokenizer of the graph's prompts; ``content`` is the one that its metadata holds."""
        if not self.config.reads_own_tokenizer:
            return bert_tokenizer()
        try:
            return clip_tokenizer(content.encode(), self.config.clip)
        except OptionError as error:
            raise CheckpointError(f'{self.path}: {quoted(error)}; export it again.') from None

    @property
    def wanted(self) -> list[str]:
        """Names of the outputs that the graph is asked for."""
        return [f'{target}_{part}' for target in self.config.targets for part in ('crops', 'gate', 'chosen')]

    def _sizes(self) -> tuple[int, tuple[int, int]]:
        """Return the graph's number of crops and its view's size; check all inputs and outputs against the header."""
        config, inputs = self.config, {one.name: one for one in self.session.get_inputs()}
        shapes = {name: list(one.shape[1:]) for name, one in inputs.items()}
        n, view = (shapes.get('crops') or [0])[0], shapes.get('view', [])[1:]
        takes = {
            'crops': [n, 3, *height_width(config.crop_size)],
            'view': [3, *view],
            'ids': [config.prompt_tokens],
            'mask': [config.prompt_tokens],
        }
        used = {name: shape for name, shape in takes.items() if name in shapes or name in ('crops', 'view')}
        known = len(view) == 2 and all(type(size) is int and 1 <= size <= SIDE for size in (n, *view))
        outputs = {one.name for one in self.session.get_outputs()}
        if not known or shapes != used or not outputs.issuperset(self.wanted):
            raise CheckpointError(
                f'{self.path}: its ONNX graph has other inputs or outputs than its header says; export it again.'
            )
        rows, columns = view
        return n, (rows, columns)

    def prepare_to_score(self, crops: int, dtype: str, fast: bool, compile: bool) -> None:
        """Raise an OptionError for what a graph cannot do: it is float32 and has a fixed number of crops."""
        if fast:
            raise OptionError(
                'fast is True, but an ONNX graph computes what it was exported for: leave fast out, or export it with --crops 1.'
            )
        if crops != self.crops:
            raise OptionError(
                f'crops is {crops}, but {self.path} was exported with {self.crops}: leave crops out, or export it with --crops {crops}.'
            )
        if dtype != 'float32' or compile:
            option = f'dtype is {dtype!r}' if dtype != 'float32' else 'compile is True'
            raise OptionError(
                f'{option}, but an ONNX graph is computed in float32 and is not compiled: take the checkpoint that it was exported from.'
            )

    def make_ready(self, dtype: torch.dtype) -> None:
        """Do nothing: a graph is always ready."""

    def encode(self, crops: Tensor, view: Tensor) -> Pixels:
        """Only keep the pixels: ``assess`` runs the graph, which encodes and assesses in one step.

        Raises:
            CheckpointError: for images that need a gradient.
            ValueError: for a number of crops that the graph does not take.
        """
        if crops.shape[1] != self.crops:
            raise ValueError(f'crop_positions has {crops.shape[1]} crops, but this ONNX graph takes {self.crops}.')
        if crops.requires_grad:
            raise CheckpointError(
                'An ONNX graph gives images no gradient; take the checkpoint that it was exported from.'
            )
        return Pixels(crops, view)

    def read(self, ids: Tensor, mask: Tensor) -> None:
        """Return None: the graph reads prompts itself."""

    def assess(self, pixels: Pixels, ids: Tensor, mask: Tensor, words: None = None) -> Assessment:
        """Answer as ``MoEAGIQA.assess`` does, but without the embeddings of the matching and without novelty."""
        given = {'crops': pixels.crops, 'view': pixels.view, 'ids': ids, 'mask': mask}
        taken = {one.name for one in self.session.get_inputs()}
        numbers = {name: tensor.cpu().numpy() for name, tensor in given.items() if name in taken}
        try:
            answers = self.session.run(self.wanted, numbers)
            self._require_shapes(answers, len(pixels.crops))
        except Exception as error:  # onnxruntime's own error types, which it does not document
            raise CheckpointError(f'{self.path}: the ONNX graph fails ({quoted(error)}); export it again.') from None
        tensors = iter(torch.from_numpy(answer).to(ids.device) for answer in answers)
        return Assessment(
            {target: ExpertScores(next(tensors), next(tensors), next(tensors)) for target in self.config.targets}, None
        )

    def _require_shapes(self, answers: list[Any], images: int) -> None:
        """Raise a ValueError for answers that do not have the shapes of experts' scores."""
        n = self.crops + self.config.view_is_crop
        shapes = [(images, n), (images, n, self.config.experts), (images, n, self.config.top_k)]
        given = [answer.shape for answer in answers]
        if given != shapes * len(self.config.targets):
            raise ValueError(f'it answers {given[:3]} instead of {shapes}')


def load_graph(path: Path) -> tuple[OnnxNetwork, dict[str, Any]]:
    """Load the network of an exported file, and its header's info."""
    require_file(path)
    network = OnnxNetwork(path)
    return network, network.info
