"""Configuration of a MoE-AGIQA network: each ablation of the paper is a field, and a checkpoint stores all fields."""

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ..images.size import Size, height_width
from ..options import unknown_option
from ..section import LISTED, Count, Said, Section, Share, Wrong, refusal, require
from .encoder_options import (
    SIDE,
    WIDEST,
    BertOptions,
    BlipOptions,
    ClipOptions,
    PixelMean,
    PixelStd,
    Side,
    SizeOption,
    VisualOptions,
    Width,
)

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MOST_SCALES = 16
MOST_PIXELS = 2**26  # in all crops of an image together: 30 times as many as 15 crops of 384 x 384 pixels have
HIGHEST_RANK = 256
WEIGHTS = 'a list of numbers from 0.001 to 1000, one for each of crop_scales'


def _visual_name(name: str) -> str:
    """Allow letters, digits, points and underscores only, as in timm's own names; addresses and paths need others."""
    require(name.replace('.', '').replace('_', '').isalnum() and name.isascii())
    return name


def _ascending(layers: tuple[int, ...]) -> tuple[int, ...]:
    require(list(layers) == sorted(set(layers)))
    return layers


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    require(len(set(names)) == len(names))
    return names


Target = Literal['quality', 'alignment', 'authenticity']
TARGETS = get_args(Target)
VisualName = Annotated[str, AfterValidator(_visual_name), Said('the name of a ViT in timm')]
LayerNumbers = Annotated[
    tuple[Count, ...], LISTED, Field(min_length=1), AfterValidator(_ascending),
    Said('a list of layer numbers from 1, in ascending order, such as [5, 6, 7, 8]'),
]  # fmt: skip
Scales = Annotated[
    tuple[Annotated[int, Field(ge=0, le=SIDE)], ...], LISTED, Field(max_length=MOST_SCALES),
    Said(f'a list of at most {MOST_SCALES} sides from 0 to {SIDE}, such as [512, 378, 0]'),
]  # fmt: skip
ScaleWeights = Annotated[tuple[Annotated[float, Field(ge=1e-3, le=1000)], ...], LISTED, Said(WEIGHTS)]
Targets = Annotated[
    tuple[Target, ...], LISTED, Field(min_length=1), AfterValidator(_each_once),
    Said(f"a list of names from {', '.join(TARGETS)}, each at most once, such as ['quality']"),
]  # fmt: skip
Towers = Annotated[
    tuple[Literal['visual', 'prior', 'semantic'], ...], LISTED, Field(min_length=1), AfterValidator(_each_once),
    Said("a list of names from visual, prior, semantic, each at most once, such as ['visual']"),
]  # fmt: skip
PromptTokens = Annotated[int, Field(ge=3, le=512)]
Crops = Annotated[int, Field(ge=1, le=1024)]

SEMANTIC: dict[str, type[Section]] = {'blip': BlipOptions, 'bert': BertOptions, 'clip': ClipOptions}


class MoEAGIQAConfig(Section):
    """The network's configuration; the defaults are the paper's v2 with the released implementation's arithmetic.

    Raises:
        OptionError: for a value out of range, naming the option, its value and what is allowed.
    """

    visual: VisualName = 'vit_base_patch16_224.augreg_in21k_ft_in1k'
    """The name, in timm, of the ViT of eq. 3 (and of eq. 1, if ``prior`` is true), or of a Swin or ConvNeXt."""
    visual_options: dict[str, Any] = Field(default_factory=dict)
    """Arguments for timm in which the ViT differs from the named one."""
    layers: LayerNumbers = (5, 6, 7, 8)
    """The ViT's layers (the first is 1) whose patch tokens are the degradation features (Table 7); of a Swin or ConvNeXt,
    its stages."""
    norm_layers: bool = False
    """Whether the ViT's last norm is applied to every layer's tokens, as DINOv2's own evaluations do."""
    token_pool: Side = 1
    """Side of the squares over which patch tokens are averaged."""
    class_tokens: bool = False
    """Whether each patch token is joined with its layer's class token (the mean patch token if there is none), which doubles the
    channels."""
    view_is_crop: bool = False
    """Whether the whole view is scored as one more crop, before the others, with an FFN_v of its own. For a 'bert' only."""
    whole_view: bool = False
    """Whether the view shows all of the picture, in its own proportions, instead of the square in its middle. For a 'bert' only."""
    crop_scales: Scales = ()
    """Scales that the crops take in turn. For scale s, the picture is resized to as many pixels as a square of s x s has; for
    scale 0 it keeps its size. By default all crops have scale 0, and small pictures are padded, as in the released code."""
    crop_weights: ScaleWeights = ()
    """Weights of the scales' crops in the image's score; by default all weigh the same."""
    linear: bool = False
    """Whether a score that is linear in the features of eq. 3 is added to the mixture's."""
    pixel_mean: PixelMean = (0.0, 0.0, 0.0)
    """Mean that is subtracted from pixels in [0, 1]; the released implementation subtracts nothing. docs/model.md lists the values
    of other encoders."""
    pixel_std: PixelStd = (1.0, 1.0, 1.0)
    """Standard deviation by which pixels are then divided."""
    semantic: Literal['blip', 'bert', 'clip'] = 'blip'
    """Text encoder of eq. 4: 'blip' (ImageReward's), 'bert', or 'clip' (the image and text tower of a CLIP, SigLIP or
    MobileCLIP)."""
    semantic_options: dict[str, Any] = Field(default_factory=dict)
    """Options in which the text encoder differs from ImageReward's BLIP (in sections 'vision' and 'text'), from BERT-base or
    from CLIP's ViT-B/32."""
    branches: Literal['both', 'visual', 'semantic'] = 'both'
    """The branches that the network has (Table 5)."""
    prior: bool = True
    """Whether the network has the natural degradation prior of eq. 1-2, as v2 does and v1 does not."""
    channels: int = Field(512, ge=4, le=WIDEST)
    """C, the width of the fused features."""
    hidden: Width = 768
    """Channels between the two convolutions of FFN_v."""
    heads: Width = 8
    """Heads of the cross attention of eq. 7-10."""
    experts: int = Field(4, ge=1, le=1024)
    """Number of experts, n of eq. 11 (Table 9); 1 is the network without a mixture."""
    top_k: Count = 3
    """Number of experts that score a crop, k of eq. 12."""
    matching: int = Field(0, ge=0, le=WIDEST)
    """Channels of the space in which image and prompt are compared; 0 for no comparison. For a 'bert', or for a
    'clip', whose own space has ``projection_dim`` channels."""
    matching_gates: bool = False
    """Whether the comparison also decides how much of the experts' scores counts; see ``PromptMatching``."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the pooled features that training sets to 0."""
    targets: Targets = ('quality',)
    """What the network scores; each target has its own mixture of experts."""
    crop_size: SizeOption = 224
    """Side of a crop in pixels, or its height and width: multiples of the ViT's patch size."""
    crops: Crops = 15
    """Crops per image in scoring."""
    prompt_tokens: PromptTokens = 35
    """Tokens to which a prompt is padded or cut, L2 in the paper. A SigLIP needs as many as in its training,
    64, and a MobileCLIP 77."""
    frozen_share: Share = 0.5
    """Share of the semantic network's layers, from the first on, that are not trained (Table 8)."""
    lora_rank: int = Field(0, ge=0, le=HIGHEST_RANK)
    """Rank of the LoRA adapters that training adds to the encoders of ``lora_towers``, in place of training their own weights; 0
    for none."""
    lora_alpha: int = Field(16, ge=1, le=4096)
    """The adapters' output is multiplied by ``lora_alpha`` / ``lora_rank``."""
    lora_towers: Towers = ('visual',)
    """The encoders with adapters: 'visual' (the ViT of eq. 3), 'prior' (that of eq. 1), 'semantic' (those of eq. 4, in the layers
    after the ``frozen_share``)."""

    def __init__(self, **options: Any):
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise refusal(type(self), error, options, 'MoE-AGIQA') from None

    @model_validator(mode='after')
    def _fits_together(self) -> 'MoEAGIQAConfig':
        VisualOptions.check(self.visual_options, 'visual_options')
        SEMANTIC[self.semantic].check(self.semantic_options, 'semantic_options')
        is_bert, most = self.semantic == 'bert', MOST_PIXELS // math.prod(height_width(self.crop_size))
        for name, met, allowed in (
            ('crop_weights', len(self.crop_weights) in (0, len(self.crop_scales)), WEIGHTS),
            ('top_k', self.top_k <= self.experts, f'from 1 to experts ({self.experts})'),
            ('crops', self.crops <= most, f'at most {most} for a crop_size of {self.crop_size}'),
            ('channels', self.channels % self.heads == 0, f'a multiple of heads ({self.heads})'),
            ('matching', *self._matching_allowed()),
            ('prompt_tokens', *self._prompt_tokens_allowed()),
            (
                'view_is_crop',
                is_bert and self.branches == 'both',
                "false, unless semantic is 'bert' and branches is 'both'",
            ),
            ('whole_view', is_bert, "false, unless semantic is 'bert'"),
            ('linear', self.branches != 'semantic', "false if branches is 'semantic'"),
            ('matching_gates', self.matching > 0, 'false if matching is 0'),
            (
                'lora_towers',
                not self.lora_rank or set(self.lora_towers) <= set(self.encoders),
                f'a list of encoders that the network has ({", ".join(self.encoders)})',
            ),
            (
                'frozen_share',
                self.frozen_share < 1 or not self.lora_rank or 'semantic' not in self.lora_towers,
                "below 1 if lora_towers has 'semantic', as the layers after it get the adapters",
            ),
        ):
            if getattr(self, name) and not met:
                raise Wrong(name, allowed)
        return self

    def _matching_allowed(self) -> tuple[bool, str]:
        """Whether ``matching`` may be above 0 as it is, and what it must be."""
        if self.semantic == 'clip':
            channels = self.clip.projection_dim
            allowed = f"0 or {channels}, the projection_dim of semantic_options, and 0 if branches is 'visual'"
            return self.matching == channels and self.branches != 'visual', allowed
        return (
            self.reads_image_with_visual,
            "0, unless semantic is 'bert' or 'clip' and branches is 'both' or 'semantic'",
        )

    def _prompt_tokens_allowed(self) -> tuple[bool, str]:
        """Whether a 'clip' can read prompts of ``prompt_tokens``, and what the option must be."""
        if self.semantic != 'clip':
            return True, ''
        most = self.clip.text.max_position_embeddings
        if self.clip.sees_padding:
            return self.prompt_tokens == most, f"{most}, as in the training of the '{self.clip.family}'"
        return self.prompt_tokens <= most, f"at most {most} for this 'clip'"

    @property
    def clip(self) -> ClipOptions:
        """The options of a 'clip', whole."""
        return ClipOptions.check(self.semantic_options, 'semantic_options')

    @property
    def model_name(self) -> str:
        """pyiqa's name for a network with this configuration."""
        if self.semantic != 'blip':
            return 'moeagiqa'
        return 'moeagiqa-v2' if self.prior else 'moeagiqa-v1'

    @property
    def view_size(self) -> Size:
        """V, the size of the semantic view in pixels: BLIP and CLIP have one of their own, else it is a crop's."""
        if self.semantic == 'bert' or self.branches == 'visual':
            return self.crop_size
        own: Any = SEMANTIC[self.semantic].check(self.semantic_options)
        return own.view_size

    @property
    def reads_image_with_visual(self) -> bool:
        """Whether the prompt's tokens attend to the visual ViT's last tokens; the ViT then needs all its layers."""
        return self.semantic == 'bert' and self.branches != 'visual'

    @property
    def reads_words_apart(self) -> bool:
        """Whether the text encoder reads a prompt without the image, so that its words can be computed once for many images."""
        return self.semantic != 'blip' and self.branches != 'visual'

    @property
    def reads_own_tokenizer(self) -> bool:
        """Whether the text encoder's tokenizer lies with its weights; the others have BERT's."""
        return self.semantic == 'clip' and self.branches != 'visual'

    @property
    def encoders(self) -> list[str]:
        """Names of the network's encoders, each of which training starts from a file of its own."""
        uses_visual = self.branches != 'semantic' or self.reads_image_with_visual
        parts = ['visual'] if uses_visual else []
        if self.prior and self.branches != 'semantic':
            parts.append('prior')
        return parts + (['semantic'] if self.branches != 'visual' else [])

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> 'MoEAGIQAConfig':
        """Make the configuration from the keys of an option file or a checkpoint.

        Raises:
            OptionError: for an unknown key, naming the nearest known one.
        """
        for name in options:
            if name not in cls.model_fields:
                raise unknown_option(name, cls.model_fields, 'MoE-AGIQA network')
        return cls(**options)

    def changed(self, **options: Any) -> 'MoEAGIQAConfig':
        """Return a copy with these options changed; raises as ``from_options`` does."""
        return self.from_options(self.to_dict() | options)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values, ready for JSON."""
        return self.model_dump()
