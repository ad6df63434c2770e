"""The metric that ``pyiqa.create_metric('moeagiqa')`` makes: images and prompts in, scores out."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..archs.experts import ExpertScores
from ..archs.hardware import fast_dtype, images_at_once
from ..archs.moeagiqa_arch import Assessment, Features, mean_over_crops
from ..archs.tokenizer import MOST_WINDOWS, PromptTokenizer, Windows, one_window_each, tokenize, tokenize_windows
from ..checkpoints import find, load_network
from ..file_hash import file_hash
from ..images.read import ImageBatch, read_images, read_with_prompts
from ..images.size import Size
from ..images.views import crop_positions, crop_sides, free_places, take_crops, view_of
from ..options import OptionError
from ..warn import warn_caller
from .ambient import SteadyModule, plain_arithmetic
from .details import Details, details, joined, no_answers, together
from .notes import cut_summary, prompts_summary
from .options import MetricOptions, check_values, refuse_others

REVISION = 2  # of the scoring code: raise it with each change that alters scores
DTYPES = {
    'float32': torch.float32,
    'bfloat16': torch.bfloat16,
    'float16': torch.float16,
}


class MoEAGIQAMetric(SteadyModule):
    """MoE-AGIQA as a pyiqa metric: no reference, higher is better, about 0 to 1 (a MOS divided by its range).

    A score is float32 and a pure function of its image and prompt. The image's size alone decides where crops lie. Images
    that are scored before it or together with it have no effect. The caller's settings have none either: autocast, precision
    of matrix products, default dtypes, modes, ``half()``.

    Args:
        model_name: 'moeagiqa' (the embedded compact model), 'moeagiqa-v1' or 'moeagiqa-v2' (the paper's networks).
        pretrained_model_path: a checkpoint to use instead: a file, https://... or hf://owner/repo/file. Its
            header says which network it holds. A graph that ``moeagiqa export`` wrote (.onnx) is run by ONNX Runtime.
        crops: crops per image; by default the number that the checkpoint was tested with.
        crop_size: another crop size in pixels, the side of a square or (height, width); position embeddings and w1, w2 are
            interpolated.
        dtype: the encoders' dtype: 'float32' (the default), 'bfloat16', 'float16' or 'auto' (bfloat16 where the hardware
            has it).
        target: 'quality' or another target that the checkpoint has.
        fast: sets options that are not given for speed: one crop, dtype 'auto'. Scores differ a little;
            docs/performance.md says how much.
        long_prompts: 'cut' (the default): tokens beyond the checkpoint's ``prompt_tokens`` are not read. 'window': a longer
            prompt is read in windows of as many tokens, and the score is the mean of the windows' scores, weighted by their
            tokens. Training saw no prompt in windows, so it is unknown how well such scores agree with raters.
        compile: compiles the encoders of crops with ``torch.compile`` (on an accelerator with CUDA graphs); the first scores
            then take minutes.

    Raises:
        CheckpointError: if the weights cannot be obtained or used; weights are never random.
        OptionError: for an option out of range.

    Example:
        >>> import pyiqa
        >>> metric = pyiqa.create_metric('moeagiqa')
        >>> metric('cat.png', caption_list=['a cat in the snow']).shape
        torch.Size([1, 1])
    """

    network: Any  # a MoEAGIQA, or an OnnxNetwork with the same methods

    @torch.inference_mode(False)  # autograd cannot use tensors made in inference mode
    def __init__(
        self,
        model_name: str = 'moeagiqa',
        pretrained_model_path: str | None = None,
        crops: int | None = None,
        crop_size: Size | None = None,
        dtype: str | None = None,
        target: str | None = None,
        fast: bool = False,
        compile: bool = False,
        long_prompts: str = 'cut',
        **others: Any,
    ):
        super().__init__()
        refuse_others(others, MoEAGIQAMetric)
        check_values(MetricOptions, locals())
        dtype = ('auto' if fast else 'float32') if dtype is None else dtype
        self.long_prompts = long_prompts
        self.checkpoint = find(pretrained_model_path or model_name)
        self.network, self.info = load_network(self.checkpoint, crop_size=crop_size)
        self.crops = crops or (1 if fast else self.network.crops)
        self.network.prepare_to_score(self.crops, dtype, fast, compile)
        self.dtype = dtype
        self.target = target or self.network.config.targets[0]
        if self.target not in self.network.config.targets:
            known = ', '.join(self.network.config.targets)
            raise OptionError(f'target is {target!r}: this checkpoint scores {known}.')
        self.requires_grad_(False).eval()

    read_images = staticmethod(read_images)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the checkpoint, which tells one set of weights from another."""
        return file_hash(self.checkpoint)

    @property
    def made_by(self) -> dict[str, Any]:
        """The settings that a score depends on besides image and prompt."""
        crop_size = self.network.config.crop_size
        return {
            'revision': REVISION,
            'crops': self.crops,
            'weights': self.fingerprint,
            'dtype': str(self._wanted_dtype).removeprefix('torch.'),
            'crop_size': crop_size if isinstance(crop_size, int) else list(crop_size),  # as in JSON
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
            caption_list: one prompt per image, or a string for all; optional for images that carry their own prompts: files
                with a text file beside them or with the prompt in their metadata, PIL images with metadata, or tensors of
                ``data.prompted_image``.
            crop_positions: integer tensor (n, 2) of (y, x) in the image's pixels, for all images; by default crops are spread
                evenly, starting at the centre.
            return_details: also return ``Details``.

        Returns:
            Scores (N, 1), or a tuple of scores and details.

        Raises:
            ImageError, ValueError: for images or prompts that cannot be scored.
        """
        images, prompts = read_with_prompts(x, caption_list)
        windows = self._windows(prompts)
        notes = (
            [] if return_details else [*cut_summary(windows.cut, self._room), *prompts_summary(prompts, self.tokenizer)]
        )
        warn_caller([*images.notes, *notes])
        positions = [self._positions(image, crop_positions) for image in images]
        with plain_arithmetic(self.device):
            self.network.make_ready(self._wanted_dtype)
            answers, novelty = self._assess(images, positions, windows)
            targets = joined(answers, windows)
        score = mean_over_crops(targets[self.target].score, self.network.config)
        if not return_details:
            return score
        places = torch.stack(positions) if positions else torch.zeros(0, self.crops, 2, dtype=torch.long)
        return score, details(targets, novelty, places, windows, self.network.config, self.target, self.info)

    @property
    def _room(self) -> str:
        """A phrase that says how much of a prompt is read."""
        windowed = f'{MOST_WINDOWS} windows of ' if self.long_prompts == 'window' else ''
        return f'{windowed}{self.network.config.prompt_tokens} tokens'

    def _windows(self, prompts: list[str]) -> Windows:
        length = self.network.config.prompt_tokens
        if self.long_prompts == 'window':
            return tokenize_windows(prompts, length, self.tokenizer)
        return one_window_each(*tokenize(prompts, length, self.tokenizer))

    def matrix(self, x: Any, prompts: Sequence[str]) -> Tensor:
        """Score every image for every prompt: an image is encoded once for all prompts, a prompt once for all images.

        Args:
            x: images as ``forward`` takes them; their own prompts are not read.
            prompts: any number of them.

        Returns:
            (N, number of prompts): the same scores as ``forward`` gives, bit for bit.
        """
        images, prompts = read_images(x), list(prompts)
        if not images or not prompts:
            return torch.zeros(len(images), len(prompts), device=self.device)
        windows = self._windows(prompts)
        warn_caller([*images.notes, *cut_summary(windows.cut, self._room)])
        with plain_arithmetic(self.device):
            self.network.make_ready(self._wanted_dtype)
            read = [self.network.read(*window) for window in self._each(windows)]
            return torch.stack([self._row(image, windows, read) for image in images])

    def _row(self, image: Tensor, windows: Windows, read: Sequence[Tensor | None]) -> Tensor:
        """Compute one image's scores for all prompts."""
        features = self.encode([image], [self._positions(image, None)])
        answers = [
            self.network.assess(features, *window, words).targets
            for window, words in zip(self._each(windows), read, strict=True)
        ]
        targets = joined(together(answers), windows)
        return mean_over_crops(targets[self.target].score, self.network.config)[:, 0]

    def _each(self, windows: Windows) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ids and mask (1, L2) of each window."""
        return zip(windows.ids.to(self.device).split(1), windows.mask.to(self.device).split(1), strict=True)

    def _assess(
        self, images: ImageBatch, positions: list[Tensor], windows: Windows
    ) -> tuple[dict[str, ExpertScores], Tensor | None]:
        """Compute answers for each window, (M, n) each, and each image's novelty, in batches that suit the device."""
        if not images:
            return no_answers(self.network.config, self.crops, self.device), None
        at_once, answers = images_at_once(self.device), []
        for start in range(0, len(images), at_once):
            some = slice(start, start + at_once)
            features = self.encode(images[some], positions[some])
            rows = ((windows.prompt >= start) & (windows.prompt < start + at_once)).nonzero()[:, 0]
            answers += [self._judge(features, windows, part, start) for part in rows.split(at_once)]
        targets = together([answer.targets for answer in answers])
        novelty = [answer.novelty for answer in answers if answer.novelty is not None]
        if not novelty:
            return targets, None
        # One window per image is enough: all windows of a prompt have its image's novelty.
        first = [windows.prompt.tolist().index(image) for image in range(len(images))]
        return targets, torch.cat(novelty)[first]

    def _judge(self, features: Features, windows: Windows, rows: Tensor, start: int) -> Assessment:
        """Compute answers for the windows in ``rows``; ``features`` begin with those of image number ``start``."""
        of = (windows.prompt[rows] - start).to(self.device)
        each = type(features)(*(None if part is None else part[of] for part in features))
        return self.network.assess(each, windows.ids[rows].to(self.device), windows.mask[rows].to(self.device))

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
        last = free_places(height, width, size, len(given), scales)
        outside = ((given < 0) | (given > last)).any(dim=1).nonzero().flatten().tolist()
        if outside:
            first = outside[0]
            rows, columns = crop_sides(height, width, size, len(given), scales)[first].tolist()
            raise ValueError(
                f'crop_positions has {tuple(given[first].tolist())} for crop {1 + first}: in an image of {height} x {width} '
                f'pixels that crop, of {rows} x {columns}, starts at (0, 0) to {tuple(last[first].tolist())}.'
            )
        return given.long()

    def encode(self, images: Sequence[Tensor], positions: list[Tensor]) -> Features:
        """Cut crops and views out of images and encode them."""
        network, config = self.network, self.network.config
        images = [image.to(self.device) for image in images]
        cut = zip(images, positions, strict=True)
        crops = [take_crops(image, places, config.crop_size, config.crop_scales) for image, places in cut]
        views = [view_of(image, network.view_size, config.whole_view) for image in images]
        return network.encode(torch.stack(crops), torch.stack(views))

    @property
    def tokenizer(self) -> PromptTokenizer:
        """The text encoder's tokenizer."""
        return self.network.tokenizer

    @property
    def device(self) -> torch.device:
        """The device that holds the weights and computes scores."""
        return next(self.network.parameters()).device

    @property
    def _wanted_dtype(self) -> torch.dtype:
        return fast_dtype(self.device) if self.dtype == 'auto' else DTYPES[self.dtype]
