"""The network that is pre-trained on natural photographs (KonIQ-10k), so that its class token carries the natural
degradation prior of eq. 1: a ViT and a two-layer regressor on the class token.
"""

from typing import Any

from pydantic import Field, model_validator
from torch import Tensor, nn

from ..images.views import normalize
from ..options import OptionError
from ..section import FromZero, Section, Text
from .config import MoEAGIQAConfig, PixelMean, PixelStd, VisualName
from .encoder_options import SizeOption, VisualOptions
from .vit import build_vit, image_token

FROZEN_BLOCKS = 8
NETWORK = MoEAGIQAConfig()


class PriorOptions(Section):
    """Options of the network that is pre-trained."""

    weights: Text
    """The weights that the ViT starts from: 'timm' for those of ``visual``, a file of timm, or 'moeagiqa' for those of the
    embedded checkpoint."""
    visual: VisualName = NETWORK.visual
    """The name of the ViT in timm."""
    visual_options: dict[str, Any] = Field(default_factory=dict)
    """Arguments for timm in which the ViT differs from the named one."""
    crop_size: SizeOption = NETWORK.crop_size
    """Side of the images in pixels, or their height and width."""
    pixel_mean: PixelMean = NETWORK.pixel_mean
    """The same as in the network that uses the prior; the released implementation subtracts nothing."""
    pixel_std: PixelStd = NETWORK.pixel_std
    """The same as in the network that uses the prior."""
    kinds: FromZero = 0
    """Number of kinds of degradation to tell apart (``data/degradations.py``); 0 to learn from MOS only."""

    @model_validator(mode='after')
    def _fits_a_vit(self) -> 'PriorOptions':
        VisualOptions.check(self.visual_options, 'visual_options')
        return self


class PriorRegressor(nn.Module):
    """Class token (N, D) -> (N, 1 + kinds): the quality, then one logit for each kind of degradation."""

    def __init__(self, width: int, kinds: int = 0):
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1 + kinds)

    def forward(self, token: Tensor) -> Tensor:
        return self.score(nn.functional.gelu(self.hidden(token)))


class MoEAGIQAPrior(nn.Module):
    """Photograph in, quality out: ``type: MoEAGIQAPrior`` under ``network:``; ``MoEAGIQAPriorModel`` trains it.

    As in the released implementation, all tensors up to and including ``blocks.8.norm1.weight`` are frozen, so the
    embeddings and the first eight blocks equal those of the frozen ViT of eq. 3.

    Args:
        options: see ``PriorOptions``.

    Shape:
        (N, 3, h, w) in [0, 1] -> (N, 1 + kinds)

    Raises:
        OptionError: for an option that is unknown or out of range.
    """

    def __init__(self, **options: Any):
        super().__init__()
        self.options = given = PriorOptions.check(options, 'network')
        self.pixel_mean, self.pixel_std, self.kinds = given.pixel_mean, given.pixel_std, given.kinds
        self.vit = build_vit(given.visual, given.crop_size, **given.visual_options)
        self.regressor = PriorRegressor(self.vit.num_features, self.kinds)
        last_frozen = f'blocks.{FROZEN_BLOCKS}.norm1.weight'
        if last_frozen not in dict(self.vit.named_parameters()):
            raise OptionError(
                f'network option visual is {given.visual!r}: pre-training freezes {FROZEN_BLOCKS} blocks of a ViT and '
                'trains those after them; name a ViT that has more.'
            )
        for name, parameter in self.vit.named_parameters():
            parameter.requires_grad_(False)
            if name == last_frozen:
                break

    def forward(self, x: Tensor) -> Tensor:
        return self.regressor(image_token(self.vit, normalize(x, self.pixel_mean, self.pixel_std)))
