"""What ``pyiqa.create_metric('moeagiqa')`` makes: images and prompts in, scores out."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..options import OptionError
from .experts import ExpertScores
from .images import check_prompts, read_images
from .semantic import tokenize
from .views import crop_positions, semantic_view, take_crops

DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


@dataclass
class Details:
    """How the scores came about, for one target.

    Attributes:
        scores: one (N, 1) tensor per target that the checkpoint has.
        interval: (N, 2) per target, from where to where the MOS of 80 % of images lie that get such a score; empty for a
            checkpoint that was not calibrated.
        crop_scores: (N, n), before the mean.
        crop_positions: (N, n, 2) of (y, x).
        gate: (N, n, experts) weights of all experts.
        chosen: (N, n, k) experts that scored, best-weighted first.
        cut_tokens: per image, how many tokens of its prompt did not fit.
    """

    scores: dict[str, Tensor]
    interval: dict[str, Tensor]
    crop_scores: Tensor
    crop_positions: Tensor
    gate: Tensor
    chosen: Tensor
    cut_tokens: list[int]


class MoEAGIQAMetric(nn.Module):
    """MoE-AGIQA as a pyiqa metric: no reference, higher is better, about 0 to 1 (a MOS divided by its range).

    A score is a pure function of its image and prompt: crops lie where the image's size says, and nothing that was
    scored before or beside it matters.

    Args:
        model_name: 'moeagiqa' (the embedded compact model), 'moeagiqa-v1' or 'moeagiqa-v2' (the paper's networks).
        pretrained_model_path: a checkpoint to use instead: a file, https://... or hf://owner/repo/file. It says
            itself which network it holds.
        crops: crops per image; by default what the checkpoint was tested with.
        crop_size: another crop size in pixels; position embeddings and w1, w2 are interpolated.
        dtype: of the encoders: 'float32', 'bfloat16', 'float16', or 'auto': bfloat16 where the hardware has it.
        target: 'quality' or another target that the checkpoint has.

    Raises:
        CheckpointError: where the weights cannot be had or used; weights are never random.
        OptionError: for an option out of range.

    Example:
        >>> import pyiqa
        >>> metric = pyiqa.create_metric('moeagiqa')
        >>> metric('cat.png', caption_list=['a cat in the snow']).shape
        torch.Size([1, 1])
    """

    def __init__(
        self,
        model_name: str = 'moeagiqa',
        pretrained_model_path: str | None = None,
        crops: int | None = None,
        crop_size: int | None = None,
        dtype: str = 'float32',
        target: str | None = None,
    ):
        super().__init__()
        from ..checkpoints import find, load_network

        if dtype != 'auto' and dtype not in DTYPES:
            raise OptionError(f"dtype is {dtype!r}: it must be 'auto', {', '.join(map(repr, DTYPES))}.")
        if crops is not None and (not isinstance(crops, int) or isinstance(crops, bool) or crops < 1):
            raise OptionError(f'crops is {crops!r}: it must be a whole number of at least 1.')
        self.checkpoint = find(pretrained_model_path or model_name)
        self.network, self.info = load_network(self.checkpoint, crop_size=crop_size)
        self.crops = crops or self.network.config.crops
        self.dtype = dtype
        self.target = target or self.network.config.targets[0]
        if self.target not in self.network.config.targets:
            known = ', '.join(self.network.config.targets)
            raise OptionError(f'target is {target!r}: this checkpoint scores {known}.')
        self._cast_to: torch.dtype | None = None
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> 'MoEAGIQAMetric':
        """A score does not depend on a mode: the metric stays in evaluation mode."""
        return super().train(False)

    read_images = staticmethod(read_images)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the checkpoint: what tells one set of weights from another."""
        from ..checkpoints.file import file_hash

        return file_hash(self.checkpoint)

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
            caption_list: one prompt per image.
            crop_positions: integer tensor (n, 2) of (y, x), for all images; default: spread evenly, first the centre.
            return_details: also return ``Details``.

        Returns:
            (N, 1), or that and the details.

        Raises:
            ImageError, ValueError: for images or prompts that cannot be scored.
        """
        images = read_images(x)
        prompts = check_prompts(caption_list, len(images))
        device = next(self.network.parameters()).device
        self._cast_encoders(device)
        ids, mask, cut = tokenize(prompts, self.network.config.prompt_tokens)
        if any(cut) and not return_details:
            warnings.warn(f'{sum(map(bool, cut))} of {len(cut)} prompts were cut (by {max(cut)} tokens at most) to '
                          f'{self.network.config.prompt_tokens} tokens.', stacklevel=2)  # fmt: skip
        positions = [self._positions(image, crop_positions) for image in images]
        inputs = zip(images.to(device), positions, ids.to(device), mask.to(device), strict=True)
        parts = [self._assess(*one) for one in inputs]
        scores = {name: torch.cat([part[name].score for part in parts]) for name in parts[0]}
        score = scores[self.target].mean(dim=1, keepdim=True)
        if not return_details:
            return score
        means = {name: value.mean(dim=1, keepdim=True) for name, value in scores.items()}
        errors = self.info.get('interval', {})
        details = Details(
            scores=means,
            interval={name: means[name] + means[name].new_tensor(errors[name]) for name in means if name in errors},
            crop_scores=scores[self.target],
            crop_positions=torch.stack(positions),
            gate=torch.cat([part[self.target].gate for part in parts]),
            chosen=torch.cat([part[self.target].chosen for part in parts]),
            cut_tokens=cut,
        )
        return score, details

    def _positions(self, image: Tensor, given: Tensor | None) -> Tensor:
        height, width = image.shape[-2:]
        size = self.network.config.crop_size
        if given is None:
            return crop_positions(height, width, size, self.crops)
        given = torch.as_tensor(given)
        if given.dim() != 2 or given.shape[1] != 2 or given.shape[0] == 0 or given.is_floating_point():
            raise ValueError(
                f'crop_positions has shape {tuple(given.shape)} and type {given.dtype}: it must be a whole-number '
                'tensor (n, 2) of (y, x).'
            )
        last = torch.tensor([max(height - size, 0), max(width - size, 0)])
        if (given < 0).any() or (given > last).any():
            raise ValueError(
                f'crop_positions has {given.tolist()}: in an image of {height} x {width} pixels a crop of {size} starts '
                f'at (0, 0) to {tuple(last.tolist())}.'
            )
        return given.long()

    def _assess(self, image: Tensor, positions: Tensor, ids: Tensor, mask: Tensor) -> dict[str, ExpertScores]:
        """The network's answers for one image, (1, n) each.

        One image at a time, so that not even the last bit of a score depends on what shares the batch; an image's
        crops are batch enough.
        """
        network = self.network
        crops = take_crops(image, positions, network.config.crop_size)
        return network(crops[None], semantic_view(image, network.view_size)[None], ids[None], mask[None]).targets

    def _cast_encoders(self, device: torch.device) -> None:
        wanted = fast_dtype(device) if self.dtype == 'auto' else DTYPES[self.dtype]
        if self._cast_to != wanted:
            self.network.cast_encoders(wanted)
            self._cast_to = wanted


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where this device multiplies it in hardware, else float32 (emulated, it is a hundred times slower)."""
    if device.type == 'cuda':
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == 'cpu':
        checks = (getattr(torch.cpu, name, None) for name in ('_is_amx_tile_supported', '_is_avx512_bf16_supported'))
        return torch.bfloat16 if any(check is not None and check() for check in checks) else torch.float32
    return torch.float32
