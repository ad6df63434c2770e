"""ImageReward: how much people would prefer an image for its prompt.

Xu et al., 'ImageReward: Learning and Evaluating Human Preferences for Text-to-Image Generation', NeurIPS 2023;
https://github.com/THUDM/ImageReward. Unlike there, pictures with transparency, a rotation in their EXIF data or 16 bits are
read as a person sees them.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..archs.hardware import fast_dtype, images_at_once
from ..archs.tokenizer import tokenize
from ..checkpoints.image_reward import find_image_reward, load_image_reward
from ..file_hash import file_hash
from ..images.read import ImageBatch, read_images, read_with_prompts
from ..images.views import normalize, pillow_view, semantic_view
from ..warn import warn_caller
from .ambient import SteadyModule, plain_arithmetic
from .notes import cut_summary, prompts_summary
from .options import ImageRewardOptions, check_values, refuse_others

PROMPT_TOKENS = 35
REVISION = 1  # of the scoring code: raise it with each change that alters scores
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}


class RewardDetails(NamedTuple):
    """``cut_tokens``: per image, how many tokens of its prompt did not fit."""

    cut_tokens: list[int]


class ImageRewardMetric(SteadyModule):
    """ImageReward as a pyiqa metric: no reference, higher is better, unbounded (most images lie between -2 and 2).

    For an 8-bit RGB image and a prompt it gives the same score as image-reward 1.5. Images that are tensors are resized
    without rounding to 256 grey values, so that gradients reach them; their scores differ a little from the file's.

    Args:
        pretrained_model_path: ``ImageReward.pt``: a file, https://... or hf://owner/repo/file. The default is the first of
            these that exists: ``weights/ImageReward.pt``, the file that ``moeagiqa weights install`` put in place, the file
            that image-reward downloaded. If none exists, it is downloaded (1.8 GB) from the Hugging Face hub,
            ``THUDM/ImageReward``.
        dtype: the encoders' dtype: 'float32', 'bfloat16', or 'auto' (bfloat16 where the hardware has it).

    Raises:
        CheckpointError: if the weights cannot be obtained or used; weights are never random.
        OptionError: for an option out of range.

    Example:
        >>> import pyiqa
        >>> metric = pyiqa.create_metric('imagereward', pretrained_model_path='ImageReward.pt')
        >>> metric('cat.png', caption_list=['a cat in the snow']).shape
        torch.Size([1, 1])
    """

    read_images = staticmethod(read_images)

    @torch.inference_mode(False)  # autograd cannot use tensors made in inference mode
    def __init__(self, pretrained_model_path: str | None = None, dtype: str = 'float32', **others: Any):
        super().__init__()
        refuse_others(others, ImageRewardMetric)
        check_values(ImageRewardOptions, locals())
        self.dtype = dtype
        self.checkpoint = find_image_reward(pretrained_model_path)
        self.network = load_image_reward(self.checkpoint)
        self.requires_grad_(False).eval()

    @property
    def made_by(self) -> dict[str, Any]:
        """The settings that a score depends on besides image and prompt."""
        dtype = str(self._wanted_dtype).removeprefix('torch.')
        return {'revision': REVISION, 'weights': file_hash(self.checkpoint), 'dtype': dtype}

    def forward(
        self, x: Any, caption_list: Iterable[str] | str | None = None, return_details: bool = False
    ) -> Tensor | tuple[Tensor, RewardDetails]:
        """Score images.

        Args:
            x: tensor (N, 3, H, W) in [0, 1], a path, a PIL image, or a list of these, of any sizes.
            caption_list: one prompt per image, or a string for all; optional for images that carry their own prompts, see
                ``MoEAGIQAMetric``.
            return_details: also return ``RewardDetails``.

        Returns:
            Scores (N, 1), or a tuple of scores and details.

        Raises:
            ImageError, ValueError: for images or prompts that cannot be scored.
        """
        images, prompts = read_with_prompts(x, caption_list)
        ids, mask, cut = tokenize(prompts, PROMPT_TOKENS)
        notes = [] if return_details else [*cut_summary(cut, f'{PROMPT_TOKENS} tokens'), *prompts_summary(prompts)]
        warn_caller([*images.notes, *notes])
        with plain_arithmetic(self.device):
            self._make_ready()
            rewards = self._rewards(images, ids, mask)
        return (rewards, RewardDetails(cut)) if return_details else rewards

    @torch.inference_mode(False)
    def _make_ready(self) -> None:
        """Put the network in evaluation mode and the encoders in their dtype."""
        if self.network.training:
            self.network.eval()
        for encoder in self.network.semantic.encoders:
            encoder.to(self._wanted_dtype)

    def matrix(self, x: Any, prompts: Sequence[str]) -> Tensor:
        """Score every image for every prompt, (N, number of prompts); an image is encoded once."""
        images, prompts = read_images(x), list(prompts)
        if not images or not prompts:
            return torch.zeros(len(images), len(prompts), device=self.device)
        ids, mask, cut = tokenize(prompts, PROMPT_TOKENS)
        warn_caller([*images.notes, *cut_summary(cut, f'{PROMPT_TOKENS} tokens')])
        pairs = list(zip(ids.to(self.device).split(1), mask.to(self.device).split(1), strict=True))
        rows = []
        with plain_arithmetic(self.device):
            self._make_ready()
            for image in images:
                seen = self.network.semantic.image_features(self._pixels([image]))
                rows.append(torch.cat([self.network.reward(seen, *pair) for pair in pairs])[:, 0])
        return torch.stack(rows)

    def _rewards(self, images: ImageBatch, ids: Tensor, mask: Tensor) -> Tensor:
        """Compute the rewards (N, 1) in batches of a size that suits the device."""
        if not images:
            return torch.zeros(0, 1, dtype=torch.float32, device=self.device)
        at_once = images_at_once(self.device)
        batches = (slice(start, start + at_once) for start in range(0, len(images), at_once))
        return torch.cat([self._reward(images[rows], ids[rows], mask[rows]) for rows in batches])

    def _reward(self, images: ImageBatch, ids: Tensor, mask: Tensor) -> Tensor:
        return self.network(self._pixels(images), ids.to(self.device), mask.to(self.device))

    def _pixels(self, images: Iterable[Tensor]) -> Tensor:
        semantic: Any = self.network.semantic
        views = torch.stack([_view(image, semantic.view_size).to(self.device) for image in images])
        return normalize(views, semantic.mean, semantic.std)

    @property
    def device(self) -> torch.device:
        """The device that holds the weights and computes scores."""
        return next(self.network.parameters()).device

    @property
    def _wanted_dtype(self) -> torch.dtype:
        return fast_dtype(self.device) if self.dtype == 'auto' else DTYPES[self.dtype]


def _view(image: Tensor, size: int) -> Tensor:
    return pillow_view(image, size) if image.dtype == torch.uint8 else semantic_view(image, size)
