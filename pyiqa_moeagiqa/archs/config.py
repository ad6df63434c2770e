"""What a MoE-AGIQA network is made of: every ablation of the paper is a field here, and a checkpoint carries them all."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..options import OptionError, check_keys

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TARGETS = ('quality', 'alignment', 'authenticity')

_TYPES = {int: int, bool: bool, str: str, float: (int, float)}
_LISTS = {
    'layers': (int, 'a list of layer numbers, as in [5, 6, 7, 8]'),
    'pixel_mean': ((int, float), 'a list of three numbers, for red, green and blue'),
    'pixel_std': ((int, float), 'a list of three numbers, for red, green and blue'),
    'targets': (str, "a list of names, as in ['quality']"),
}
_TYPE_NAMES = {int: 'a whole number', bool: 'true or false', str: 'text', float: 'a number'}


@dataclass(frozen=True)
class MoEAGIQAConfig:
    """The network's configuration; the defaults are the paper's v2 with the released implementation's arithmetic.

    Raises:
        OptionError: for a value out of range, naming the option, its value and what is allowed.
    """

    visual: str = 'vit_base_patch16_224.augreg_in21k_ft_in1k'
    """timm name of the ViT of eq. 3 (and, with ``prior``, of eq. 1)."""
    visual_options: dict[str, Any] = field(default_factory=dict)
    """What differs from the named ViT, as keyword arguments for timm."""
    layers: tuple[int, ...] = (5, 6, 7, 8)
    """The ViT's layers (the first is 1) whose patch tokens are the degradation features (Table 7)."""
    norm_layers: bool = False
    """Whether the ViT's last norm is applied to every layer's tokens, as DINOv2's own evaluations do."""
    token_pool: int = 1
    """Patch tokens are averaged over squares of this side."""
    class_tokens: bool = False
    """Whether the layers' class tokens stand beside their patch tokens, as twice the channels."""
    view_is_crop: bool = False
    """Whether the whole view is scored as one more crop, before the others, with an FFN_v of its own. For a 'bert' only."""
    pixel_mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Subtracted from a crop's pixels in [0, 1]; the released implementation subtracts nothing."""
    pixel_std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Divides a crop's pixels."""
    semantic: str = 'blip'
    """Text encoder of eq. 4: 'blip' (ImageReward's) or 'bert'."""
    semantic_options: dict[str, Any] = field(default_factory=dict)
    """What differs from ImageReward's BLIP (keys 'vision' and 'text'), or from BERT-base (``archs/bert.py``)."""
    branches: str = 'both'
    """'both', 'visual' or 'semantic' (Table 5)."""
    prior: bool = True
    """Natural degradation prior of eq. 1-2: v2 has it, v1 does not."""
    channels: int = 512
    """C, the width of the fused features."""
    hidden: int = 768
    """Channels between the two convolutions of FFN_v."""
    heads: int = 8
    """Heads of the cross attention of eq. 7-10."""
    experts: int = 4
    """n of eq. 11 (Table 9); 1 is the network without experts."""
    top_k: int = 3
    """k of eq. 12."""
    matching: int = 0
    """Width of the space in which image and prompt are compared; 0 for no comparison. For a 'bert' only."""
    dropout: float = 0.0
    """Share of the pooled features that training drops."""
    targets: tuple[str, ...] = ('quality',)
    """What is scored; one mixture of experts each."""
    crop_size: int = 224
    """Side of a crop in pixels: a multiple of the ViT's patch size."""
    crops: int = 15
    """Crops per image when scoring; the score is their mean."""
    prompt_tokens: int = 35
    """L2: prompts are padded or cut to it."""
    frozen_share: float = 0.5
    """Share of the semantic network's layers that training leaves as they are (Table 8)."""

    def __post_init__(self):
        self._check_types()
        self._check_lists()
        self._require('branches', self.branches in ('both', 'visual', 'semantic'), "'both', 'visual' or 'semantic'")
        self._require('semantic', self.semantic in ('blip', 'bert'), "'blip' or 'bert'")
        self._require('experts', self.experts >= 1, 'at least 1')
        self._require('top_k', 1 <= self.top_k <= self.experts, f'from 1 to experts ({self.experts})')
        self._require('crops', self.crops >= 1, 'at least 1')
        self._require('crop_size', self.crop_size >= 1, 'at least 1')
        self._require('prompt_tokens', 3 <= self.prompt_tokens <= 512, 'from 3 to 512')
        self._require('frozen_share', 0 <= self.frozen_share <= 1, 'from 0 to 1')
        self._require('dropout', 0 <= self.dropout < 1, 'at least 0 and below 1')
        self._require('channels', self.channels % self.heads == 0, f'a multiple of heads ({self.heads})')
        ascending = self.layers and self.layers[0] >= 1 and list(self.layers) == sorted(set(self.layers))
        self._require('layers', ascending, 'ascending layer numbers, the first is 1')
        self._require('token_pool', self.token_pool >= 1, 'at least 1')
        self._require(
            'matching',
            self.matching == 0 or self.reads_image_with_visual,
            "0 unless semantic is 'bert' and branches is not 'visual'",
        )
        whole = self.semantic == 'bert' and self.branches == 'both'
        self._require(
            'view_is_crop', whole or not self.view_is_crop, "false unless semantic is 'bert' and branches 'both'"
        )
        known = self.targets and set(self.targets) <= set(TARGETS)
        self._require('targets', known, f'one or more of {", ".join(TARGETS)}')

    def _check_types(self) -> None:
        for f in fields(self):
            value, wanted = getattr(self, f.name), _TYPES.get(f.type)
            whole = wanted is int and not isinstance(value, bool)
            if wanted is not None and not (isinstance(value, wanted) and (whole or wanted is not int)):
                self._require(f.name, False, _TYPE_NAMES[f.type])

    def _check_lists(self) -> None:
        for name, (kind, allowed) in _LISTS.items():
            values = getattr(self, name)
            is_list = isinstance(values, list | tuple) and all(
                isinstance(value, kind) and not isinstance(value, bool) for value in values
            )
            whole = not name.startswith('pixel_') or (is_list and len(values) == 3)
            self._require(name, is_list and whole, allowed)
            object.__setattr__(self, name, tuple(values))

    @property
    def model_name(self) -> str:
        """The name under which pyiqa knows such a network."""
        if self.semantic == 'bert':
            return 'moeagiqa'
        return 'moeagiqa-v2' if self.prior else 'moeagiqa-v1'

    @property
    def reads_image_with_visual(self) -> bool:
        """Whether the prompt's tokens attend to the last tokens of the visual ViT, which then needs all its layers."""
        return self.semantic == 'bert' and self.branches != 'visual'

    def _require(self, name: str, met: bool, allowed: str) -> None:
        if not met:
            raise OptionError(f'MoE-AGIQA option {name} is {getattr(self, name)!r}: it must be {allowed}.')

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> 'MoEAGIQAConfig':
        """The configuration from option-file or checkpoint keys.

        Raises:
            OptionError: for an unknown key, naming the nearest known one.
        """
        check_keys(options, [f.name for f in fields(cls)], 'MoE-AGIQA network')
        return cls(**options)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values, ready for JSON."""
        return asdict(self)
