"""What ``pyiqa.create_metric('moeagiqa')`` makes: images and prompts in, scores out."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..options import OptionError
from .ambient import SteadyModule, plain_arithmetic
from .at_hand import AtHand
from .details import Details, details, joined, no_answers
from .experts import ExpertScores
from .hardware import fast_dtype, images_at_once
from .images import ImageBatch, read_images, read_with_prompts
from .metric_options import check_dtype, check_values, refuse_others
from .moeagiqa_arch import Assessment, Features, MoEAGIQA, mean_over_crops
from .semantic import (
    MOST_WINDOWS,
    Windows,
    one_window_each,
    tokenize,
    tokenize_windows,
    warn_of_cut_prompts,
    warn_of_unknown_words,
)
from .views import crop_positions, crop_sides, free_places, take_crops, view_of

REVISION = 2  # of the way from image and weights to the score: to be raised with each change of scores
DTYPES = {
    'float32': torch.float32,
    'bfloat16': torch.bfloat16,
    'float16': torch.float16,
    'int8': torch.float32,  # of what is between the quantised layers
}


class MoEAGIQAMetric(SteadyModule):
    """MoE-AGIQA as a pyiqa metric: no reference, higher is better, about 0 to 1 (a MOS divided by its range).

    A score is a pure function of its image and prompt: crops lie where the image's size says, and nothing that was
    scored before or beside it matters, nor what the caller has set: autocast, precision of matrix products, default types,
    modes, ``half()``. It is float32.

    Args:
        model_name: 'moeagiqa' (the embedded compact model), 'moeagiqa-v1' or 'moeagiqa-v2' (the paper's networks).
        pretrained_model_path: a checkpoint to use instead: a file, https://... or hf://owner/repo/file. It says
            itself which network it holds. A graph that ``moeagiqa export`` wrote (.onnx) is run by ONNX Runtime.
        crops: crops per image; by default what the checkpoint was tested with.
        crop_size: another crop size in pixels; position embeddings and w1, w2 are interpolated.
        dtype: of the encoders: 'float32' (the default), 'bfloat16', 'float16', 'auto' (bfloat16 where the hardware has it),
            or 'int8' (needs torchao; for processors without bfloat16, scores differ more).
        target: 'quality' or another target that the checkpoint has.
        fast: what is not given is set for speed: one crop, dtype 'auto'. Scores differ a little; docs/performance.md
            says how much.
        long_prompts: 'cut' (the default): what is beyond the checkpoint's ``prompt_tokens`` is not read. 'window': a longer
            prompt is read in windows of as many tokens, and the score is the mean of the windows' scores, weighted by their
            tokens. Training saw no prompt in windows, so nothing is known of how such scores agree with raters.
        compile: let ``torch.compile`` (on an accelerator with CUDA graphs) make the encoders of crops; the first scores
            take minutes then.

    Raises:
        CheckpointError: where the weights cannot be had or used; weights are never random.
        OptionError: for an option out of range.

    Example:
        >>> import pyiqa
        >>> metric = pyiqa.create_metric('moeagiqa')
        >>> metric('cat.png', caption_list=['a cat in the snow']).shape
        torch.Size([1, 1])
    """

    @torch.inference_mode(False)  # its tensors could never be part of a loss
    def __init__(
        self,
        model_name: str = 'moeagiqa',
        pretrained_model_path: str | None = None,
        crops: int | None = None,
        crop_size: int | None = None,
        dtype: str | None = None,
        target: str | None = None,
        fast: bool = False,
        compile: bool = False,
        long_prompts: str = 'cut',
        **others: Any,
    ):
        super().__init__()
        from ..checkpoints import find, load_network

        refuse_others(others, MoEAGIQAMetric)
        check_values(locals())
        dtype = ('auto' if fast else 'float32') if dtype is None else dtype
        check_dtype(dtype, DTYPES)
        self.long_prompts = long_prompts
        self.checkpoint = find(pretrained_model_path or model_name)
        self.network, self.info = load_network(self.checkpoint, crop_size=crop_size)
        self._is_graph = not isinstance(self.network, MoEAGIQA)
        self.crops = crops or (1 if fast else (self.network if self._is_graph else self.network.config).crops)
        if self._is_graph:
            self._check_graph(dtype, fast, compile)
        self.dtype = dtype
        self.target = target or self.network.config.targets[0]
        if self.target not in self.network.config.targets:
            known = ', '.join(self.network.config.targets)
            raise OptionError(f'target is {target!r}: this checkpoint scores {known}.')
        if not self._is_graph and self.network.config.branches != 'visual':
            self.network.semantic.freeze(1.0)  # nothing is trained here: all that an image alone decides is done once
        if dtype == 'int8':
            self.network.quantize_encoders()
        if compile:
            self.network.compile_encoders()
        self._cast_to: tuple[torch.dtype, torch.device] | None = None
        self.at_hand = AtHand()
        self.requires_grad_(False).eval()

    def _check_graph(self, dtype: str, fast: bool, compile: bool) -> None:
        """An exported graph is float32 and has a fixed number of crops."""
        fixed = self.network.crops
        if fast:
            raise OptionError('fast is True: an ONNX graph is computed as it was exported; export it with --crops 1.')
        if self.crops != fixed:
            raise OptionError(
                f'crops is {self.crops}: the graph {self.checkpoint} was exported with {fixed}; export it again.'
            )
        if dtype != 'float32' or compile:
            option = f'dtype is {dtype!r}' if dtype != 'float32' else 'compile is True'
            raise OptionError(f'{option}: an ONNX graph is computed in float32; take the checkpoint it was made from.')

    read_images = staticmethod(read_images)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the checkpoint: what tells one set of weights from another."""
        from ..file_hash import file_hash

        return file_hash(self.checkpoint)

    @property
    def made_by(self) -> dict[str, Any]:
        """What a score depends on besides image and prompt."""
        dtype = 'int8' if self.dtype == 'int8' else str(self._wanted_dtype).removeprefix('torch.')
        crop_size = self.network.config.crop_size
        return {
            'revision': REVISION,
            'crops': self.crops,
            'weights': self.fingerprint,
            'dtype': dtype,
            'crop_size': crop_size,
            'target': self.target,
            'long_prompts': self.long_prompts,
        }

    def forward(
        self,
        x: Any,
        caption_list: Iterable[str] | str | None = None,
        crop_positions: Tensor | None = None,
        return_details: bool = False,
    ) -> Tensor | tuple[Tensor, Details]:
        """Score images.

        Args:
            x: tensor (N, 3, H, W) in [0, 1], a path, a PIL image, or a list of these, of any sizes.
            caption_list: one prompt per image, or a string for all; not needed for images that bring theirs: files with a text
                file beside them or with the prompt in their metadata, PIL images with metadata, or tensors of
                ``data.prompted_image``.
            crop_positions: integer tensor (n, 2) of (y, x) in the image's pixels, for all images; default: spread evenly, first
                the centre.
            return_details: also return ``Details``.

        Returns:
            (N, 1), or that and the details.

        Raises:
            ImageError, ValueError: for images or prompts that cannot be scored.
        """
        images, prompts = read_with_prompts(x, caption_list)
        windows = self._windows(prompts)
        if not return_details:
            windowed = f'{MOST_WINDOWS} windows of ' if self.long_prompts == 'window' else ''
            warn_of_cut_prompts(windows.cut, f'{windowed}{windows.ids.shape[1]} tokens')
            warn_of_unknown_words(prompts)
        positions = [self._positions(image, crop_positions) for image in images]
        with plain_arithmetic(self.device):
            self._make_ready()
            answers, novelty = self._assess_all(images, positions, windows)
            targets = joined(answers, windows)
        score = mean_over_crops(targets[self.target].score, self.network.config)
        if not return_details:
            return score
        places = torch.stack(positions) if positions else torch.zeros(0, self.crops, 2, dtype=torch.long)
        return score, details(targets, novelty, places, windows, self.network.config, self.target, self.info)

    def _windows(self, prompts: list[str]) -> Windows:
        length = self.network.config.prompt_tokens
        if self.long_prompts == 'window':
            return tokenize_windows(prompts, length)
        return one_window_each(*tokenize(prompts, length))

    def _assess_all(
        self, images: ImageBatch, positions: list[Tensor], windows: Windows
    ) -> tuple[dict[str, ExpertScores], Tensor | None]:
        """The network's answers for each window, (M, n) each, and each image's novelty; as many at once as the device is fast at."""
        device, of = self.device, windows.prompt.tolist()
        if not of:
            return no_answers(self.network.config, self.crops, device), None
        at_once, parts = images_at_once(device), []
        for start in range(0, len(of), at_once):
            chosen, rows = of[start : start + at_once], slice(start, start + at_once)
            batch = ImageBatch(images[image] for image in chosen).to(device)
            places = [positions[image] for image in chosen]
            parts.append(self._assess(batch, places, windows.ids[rows].to(device), windows.mask[rows].to(device)))
        targets = {
            name: ExpertScores(*map(torch.cat, zip(*(part.targets[name] for part in parts), strict=True)))
            for name in parts[0].targets
        }
        if parts[0].novelty is None:
            return targets, None
        first = [of.index(image) for image in range(len(images))]  # an image's windows all have the image's novelty
        return targets, torch.cat([part.novelty for part in parts])[first]

    def _positions(self, image: Tensor, given: Tensor | None) -> Tensor:
        height, width = image.shape[-2:]
        size, scales = self.network.config.crop_size, self.network.config.crop_scales
        if given is None:
            return crop_positions(height, width, size, self.crops, scales)
        given = torch.as_tensor(given, device='cpu')
        if given.dim() != 2 or given.shape[1] != 2 or given.shape[0] == 0 or given.is_floating_point():
            raise ValueError(
                f'crop_positions has shape {tuple(given.shape)} and type {given.dtype}: it must be a whole-number '
                'tensor (n, 2) of (y, x).'
            )
        if self._is_graph and len(given) != self.crops:
            raise ValueError(f'crop_positions has {len(given)} crops: this ONNX graph takes {self.crops}.')
        last = free_places(height, width, size, len(given), scales)
        outside = ((given < 0) | (given > last)).any(dim=1).nonzero().flatten().tolist()
        if outside:
            first = outside[0]
            side = crop_sides(height, width, size, len(given), scales)[first].item()
            raise ValueError(
                f'crop_positions has {tuple(given[first].tolist())} for crop {1 + first}: in an image of {height} x {width} '
                f'pixels that crop, of {side} pixels, starts at (0, 0) to {tuple(last[first].tolist())}.'
            )
        return given.long()

    def _assess(self, images: ImageBatch, positions: list[Tensor], ids: Tensor, mask: Tensor) -> Assessment:
        """The network's answers, (N, n) each."""
        features = self.look_at(images, positions)
        if self.network.config.reads_image_with_visual and not self._is_graph:
            features = features._replace(words=self._read(ids, mask))
        return self.network.assess(features, ids, mask)

    def look_at(self, images: ImageBatch, positions: list[Tensor]) -> Features:
        """The encoders' features; those of the image that was looked at last are at hand for its next prompt."""
        look = partial(self._encode, images, positions)
        alone = len(images) == 1 and images[0].dtype == torch.uint8  # as files are read; others are hardly seen twice
        return self.at_hand.image(images[0], positions[0], look) if alone and not self._learns else look()

    def _encode(self, images: ImageBatch, positions: list[Tensor]) -> Features:
        network, config, cut = self.network, self.network.config, zip(images, positions, strict=True)
        crops = [take_crops(image, places, config.crop_size, config.crop_scales) for image, places in cut]
        views = [view_of(image, network.view_size, config.whole_view) for image in images]
        return network.encode(torch.stack(crops), torch.stack(views))

    def _read(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The prompts' words (N, L2, E)."""
        words = self.network.semantic.words
        return words(ids, mask) if self._learns else self.at_hand.read(ids, mask, words)

    @property
    def _learns(self) -> bool:
        """Whether someone asks for gradients of the weights, which what is at hand has not."""
        return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in self.network.parameters())

    def forget(self) -> None:
        """Drop what is at hand of the last image and prompts.

        Done by itself when weights change, but where they are changed through ``.data``, which leaves no trace.
        """
        self.at_hand.forget()

    @property
    def device(self) -> torch.device:
        """Where the weights are, and scores come from."""
        return next(self.network.parameters()).device

    @property
    def _wanted_dtype(self) -> torch.dtype:
        return fast_dtype(self.device) if self.dtype == 'auto' else DTYPES[self.dtype]

    @torch.inference_mode(False)
    def _make_ready(self) -> None:
        """Encoders in their type, everything in evaluation mode, nothing at hand that other weights have made."""
        if self.network.training:
            self.network.eval()
        wanted = self._wanted_dtype, self.device
        if self._cast_to != wanted and not self._is_graph:
            self.network.cast_encoders(wanted[0])
            self._cast_to = wanted
        self.at_hand.check(self.network)
