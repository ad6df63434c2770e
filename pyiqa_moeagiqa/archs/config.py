"""What a MoE-AGIQA network is made of: every ablation of the paper is a field here, and a checkpoint carries them all."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..options import OptionError, Rule, check_keys, number, one_of, shown, whole
from .encoder_options import SIDE, WIDEST, check_semantic_options, check_visual_name, check_visual_options

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TARGETS = ('quality', 'alignment', 'authenticity')
MOST_SCALES = 16

_TYPES = {int: int, bool: bool, str: str, float: (int, float)}
_LISTS = {
    'layers': (whole(1), 'a list of layer numbers, as in [5, 6, 7, 8]'),
    'crop_scales': (whole(0, SIDE), f'a list of at most {MOST_SCALES} sides from 0 to {SIDE}, as in [512, 378, 0]'),
    'crop_weights': (number(1e-3, 1000), 'a list of numbers from 0.001 to 1000, one for each of crop_scales'),
    'pixel_mean': (number(-1000, 1000), 'a list of three numbers, for red, green and blue'),
    'pixel_std': (number(1e-4, 1000), 'a list of three numbers above 0, for red, green and blue'),
    'targets': (one_of(*TARGETS), f"a list of names, as in ['quality'], of {', '.join(TARGETS)}, each once"),
}
_TYPE_NAMES = {int: 'a whole number', bool: 'true or false', str: 'text', float: 'a number'}
# Beyond these nobody has trained a network; without bounds one number in a file would take all memory.
_BOUNDS: dict[str, Rule] = {
    'channels': whole(4, WIDEST),
    'hidden': whole(1, WIDEST),
    'heads': whole(1, WIDEST),
    'experts': whole(1, 1024),
    'matching': whole(0, WIDEST),
    'token_pool': whole(1, SIDE),
    'crop_size': whole(1, SIDE),
    'crops': whole(1, 1024),
    'prompt_tokens': whole(3, 512),
    'frozen_share': number(0, 1),
}
MOST_PIXELS = 2**26  # of all crops of an image; 15 crops of 384 pixels are a thirtieth of it


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
    whole_view: bool = False
    """Whether the view shows all of the picture, in its own proportions; else the square in its middle. For a 'bert' only."""
    crop_scales: tuple[int, ...] = ()
    """Crops take turns: one of scale s is cut once the picture has as many pixels as a square of s x s, one of scale 0 at the
    picture's own pixels. Without scales all are, and small pictures are padded, as in the released implementation."""
    crop_weights: tuple[float, ...] = ()
    """How much crops of each scale weigh in the image's score; without weights all weigh the same."""
    linear: bool = False
    """Whether the mixture adds to a score that is linear in the features of eq. 3."""
    linear_prompt: bool = False
    """Whether that score is linear in the prompt's mean word as well. For a 'bert' only."""
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
    matching_gates: bool = False
    """Whether the comparison also decides how much of each target's score counts: see ``PromptMatching``."""
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
        for name, rule in _BOUNDS.items():
            self._require(name, rule.met(getattr(self, name)), rule.allowed)
        self._check_encoders()
        self._check_sizes()
        reads_both = self.semantic == 'bert' and self.branches == 'both'
        self._require(
            'view_is_crop', reads_both or not self.view_is_crop, "false unless semantic is 'bert' and branches 'both'"
        )
        self._require('whole_view', self.semantic == 'bert' or not self.whole_view, "false unless semantic is 'bert'")
        self._require('linear', self.branches != 'semantic' or not self.linear, "false where branches is 'semantic'")
        self._require(
            'linear_prompt',
            not self.linear_prompt or (self.linear and self.reads_image_with_visual),
            "false unless linear is true, semantic is 'bert' and branches is not 'visual'",
        )
        self._require('matching_gates', self.matching > 0 or not self.matching_gates, 'false where matching is 0')

    def _check_encoders(self) -> None:
        self._require('branches', self.branches in ('both', 'visual', 'semantic'), "'both', 'visual' or 'semantic'")
        self._require('semantic', self.semantic in ('blip', 'bert'), "'blip' or 'bert'")
        self._require('visual', check_visual_name(self.visual), "timm's name of a ViT")
        check_visual_options(self.visual_options)
        check_semantic_options(self.semantic_options, self.semantic)
        self._require('layers', list(self.layers) == sorted(self.layers), 'ascending layer numbers, the first is 1')

    def _check_sizes(self) -> None:
        self._require('top_k', 1 <= self.top_k <= self.experts, f'from 1 to experts ({self.experts})')
        most = MOST_PIXELS // self.crop_size**2
        self._require('crops', self.crops <= most, f'at most {most} of {self.crop_size} pixels')
        self._require('dropout', 0 <= self.dropout < 1, 'at least 0 and below 1')
        self._require('channels', self.channels % self.heads == 0, f'a multiple of heads ({self.heads})')
        self._require(
            'matching',
            self.matching == 0 or self.reads_image_with_visual,
            "0 unless semantic is 'bert' and branches is not 'visual'",
        )

    def _check_types(self) -> None:
        for f in fields(self):
            value, wanted = getattr(self, f.name), _TYPES.get(f.type)
            is_whole = wanted is int and not isinstance(value, bool)
            if wanted is not None and not (isinstance(value, wanted) and (is_whole or wanted is not int)):
                self._require(f.name, False, _TYPE_NAMES[f.type])

    def _check_lists(self) -> None:
        for name, (rule, allowed) in _LISTS.items():
            values = getattr(self, name)
            met = isinstance(values, list | tuple) and all(map(rule.met, values))
            if name == 'crop_scales':
                met = met and len(values) <= MOST_SCALES
            elif name == 'crop_weights':
                met = met and len(values) in (0, len(self.crop_scales))
            elif met:
                met = len(values) == 3 if name.startswith('pixel_') else 0 < len(values) == len(set(values))
            self._require(name, met, allowed)
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
            raise OptionError(f'MoE-AGIQA option {name} is {shown(getattr(self, name))}: it must be {allowed}.')

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
