"""Lists what an option file or a checkpoint's header can change of an encoder: its sizes and settings, no path, no code.

A header can come from anyone. Options that are not listed here are refused before an encoder is built. Among them are timm's
``checkpoint_path`` and transformers' ``attn_implementation``, which open files and addresses. The bounds are wider than any
trained network; without them one number in a file could take all memory.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from ..images.size import Size
from ..section import LEFT_OUT, LISTED, Said, Section, Share, Wrong

DEEPEST = 128  # layers; the deepest published ViTs have 48
WIDEST = 65_536  # channels, token positions and the like
WORDS = 1_000_000
SIDE = 4_096  # pixels
LARGEST_VIEW = 1_024  # pixels of a convolutional image tower, which takes pictures of any size
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
LARGEST_TOKENIZER = 2**26  # bytes; SigLIP 2's, with 256,000 words, is among the largest

Layers = Annotated[int, Field(ge=1, le=DEEPEST)]
Width = Annotated[int, Field(ge=1, le=WIDEST)]
Side = Annotated[int, Field(ge=1, le=SIDE)]
Words = Annotated[int, Field(ge=1, le=WORDS)]
Word = Annotated[int, Field(ge=0, le=WORDS)]


def _square_as_side(size: Size) -> Size:
    return size[0] if isinstance(size, tuple) and size[0] == size[1] else size


SizeOption = Annotated[
    Side | tuple[Side, Side], LISTED, AfterValidator(_square_as_side),
    Said(f'a whole number from 1 to {SIDE}, or a height and a width, as in [168, 252]'),
]  # fmt: skip
_Mean = Annotated[float, Field(ge=-1000, le=1000)]
_Deviation = Annotated[float, Field(ge=1e-4, le=1000)]
PixelMean = Annotated[
    tuple[_Mean, _Mean, _Mean], LISTED, Said('a list of three numbers, for red, green and blue'),
]  # fmt: skip
PixelStd = Annotated[
    tuple[_Deviation, _Deviation, _Deviation], LISTED, Said('a list of three numbers above 0, for red, green and blue'),
]  # fmt: skip
Activation = Literal['gelu', 'gelu_new', 'gelu_pytorch_tanh', 'quick_gelu', 'relu', 'silu']


def _require_multiple(options: Section, width: str, heads: str) -> None:
    """Raise ``Wrong`` if both options are given and ``width`` is no multiple of ``heads``."""
    channels, count = getattr(options, width), getattr(options, heads)
    if channels and count and channels % count:
        raise Wrong(width, f'a multiple of {heads} ({count})')


class VisualOptions(Section):
    """Options that can differ from the named ViT, under timm's names; the others keep the named ViT's values."""

    embed_dim: Width = LEFT_OUT
    """Number of channels."""
    depth: Layers = LEFT_OUT
    """Number of layers."""
    num_heads: Width = LEFT_OUT
    """Number of attention heads in each layer."""
    patch_size: Side = LEFT_OUT
    """Side of a patch in pixels."""
    mlp_ratio: float = Field(LEFT_OUT, ge=0.01, le=64)
    """Channels inside the MLPs, as a multiple of the token channels."""
    init_values: Share = LEFT_OUT
    """Initial scale of each layer's output."""
    qkv_bias: bool = LEFT_OUT
    """Whether queries, keys and values have a bias."""
    qk_norm: bool = LEFT_OUT
    """Whether queries and keys are normalised."""
    proj_drop_rate: Share = LEFT_OUT
    """Dropout rate after attention and MLP."""
    attn_drop_rate: Share = LEFT_OUT
    """Dropout rate inside the attention."""
    drop_path_rate: Share = LEFT_OUT
    """Rate of stochastic depth."""

    @model_validator(mode='after')
    def _heads_fit(self) -> 'VisualOptions':
        _require_multiple(self, 'embed_dim', 'num_heads')
        return self


class _Transformer(Section):
    """Options that image and text encoders share, named as in transformers; the defaults are BERT-base."""

    hidden_size: Width = 768
    """Number of channels."""
    num_hidden_layers: Layers = 12
    """Number of layers."""
    num_attention_heads: Width = 12
    """Number of attention heads in each layer."""
    intermediate_size: Width = 3072
    """Channels inside the MLPs."""
    hidden_act: Activation = 'gelu'
    """Activation function of the MLPs."""
    layer_norm_eps: Share = 1e-12
    """Number that the norms add to the variance."""
    initializer_range: Share = 0.02
    """Standard deviation of untrained weights."""

    @model_validator(mode='after')
    def _heads_fit(self) -> '_Transformer':
        _require_multiple(self, 'hidden_size', 'num_attention_heads')
        return self


class BertOptions(_Transformer):
    """Options of a BERT."""

    hidden_act: Literal['gelu', 'relu', 'silu'] = 'gelu'
    """Activation function of the MLPs."""
    vocab_size: Words = 30522
    """Number of words in the vocabulary."""
    max_position_embeddings: Width = 512
    """Most tokens that a prompt can have."""
    type_vocab_size: Width = 2
    """Number of token types."""
    hidden_dropout_prob: Share = 0.1
    """Dropout rate after attention and MLP."""
    attention_probs_dropout_prob: Share = 0.1
    """Dropout rate inside the attention."""
    pad_token_id: Word = 0
    """Number of the word that pads short prompts."""


class BlipText(BertOptions):
    """The text encoder of ImageReward's BLIP."""

    vocab_size: Words = 30524
    """Number of words in the vocabulary: those of BERT, [DEC] and [ENC]."""
    hidden_act: Activation = 'gelu'  # type: ignore[assignment]  # BLIP knows more activations than this package's BERT
    """Activation function of the MLPs."""
    attention_dropout: Share = 0.0
    """An option without effect: BLIP in transformers uses it in its image encoder only."""


class BlipVision(_Transformer):
    """The image encoder of ImageReward's BLIP, a ViT-L/16."""

    hidden_size: Width = 1024
    """Number of channels."""
    num_hidden_layers: Layers = 24
    """Number of layers."""
    num_attention_heads: Width = 16
    """Number of attention heads in each layer."""
    intermediate_size: Width = 4096
    """Channels inside the MLPs."""
    layer_norm_eps: Share = 1e-6
    """Number that the norms add to the variance."""
    initializer_range: Share = 1e-10
    """Standard deviation of untrained weights."""
    attention_dropout: Share = 0.0
    """Dropout rate inside the attention."""
    image_size: Side = 224
    """Side of the view in pixels."""
    patch_size: Side = 16
    """Side of a patch in pixels."""


class BlipOptions(Section):
    """Options that can differ from ImageReward's BLIP."""

    vision: BlipVision = BlipVision()
    """The image encoder."""
    text: BlipText = BlipText()
    """The text encoder."""

    @property
    def view_size(self) -> int:
        """Side of the view in pixels."""
        return self.vision.image_size


class ClipText(_Transformer):
    """The text tower of a CLIP; the defaults are those of OpenAI's ViT-B/32."""

    hidden_size: Width = 512
    """Number of channels."""
    num_attention_heads: Width = 8
    """Number of attention heads in each layer."""
    intermediate_size: Width = 2048
    """Channels inside the MLPs."""
    hidden_act: Activation = 'quick_gelu'
    """Activation function of the MLPs."""
    layer_norm_eps: Share = 1e-5
    """Number that the norms add to the variance."""
    attention_dropout: Share = 0.0
    """Dropout rate inside the attention."""
    vocab_size: Words = 49408
    """Number of words in the vocabulary."""
    max_position_embeddings: Width = 77
    """Most tokens that a prompt can have; a text tower that sees padding needs just as many, see ``prompt_tokens``."""
    pad_token_id: Word = 49407
    """Number of the word that pads short prompts."""


class ClipVision(_Transformer):
    """The image tower of a CLIP; the defaults are those of OpenAI's ViT-B/32."""

    hidden_act: Activation = 'quick_gelu'
    """Activation function of the MLPs."""
    layer_norm_eps: Share = 1e-5
    """Number that the norms add to the variance."""
    attention_dropout: Share = 0.0
    """Dropout rate inside the attention."""
    image_size: Side = 224
    """Side of the view in pixels."""
    patch_size: Side = 32
    """Side of a patch in pixels."""


class MobileVision(Section):
    """The image tower of a MobileCLIP, one of timm's networks; the defaults are those of MobileCLIP-S2."""

    name: Literal[
        'fastvit_mci0', 'fastvit_mci1', 'fastvit_mci2', 'fastvit_mci3', 'fastvit_mci4', 'vit_base_mci_224',
        'vit_large_patch14_clip_224',
    ] = 'fastvit_mci2'  # fmt: skip
    """Its name in timm."""
    image_size: Annotated[int, Field(ge=1, le=LARGEST_VIEW)] = 256
    """Side of the view in pixels."""
    mean: PixelMean = (0.0, 0.0, 0.0)
    """Mean that is subtracted from pixels in [0, 1]."""
    std: PixelStd = (1.0, 1.0, 1.0)
    """Standard deviation by which pixels are then divided."""


class ClipOptions(Section):
    """Options of a CLIP, SigLIP or MobileCLIP. What the folder of its weights states, fills in options that are left out.

    For a 'mobileclip' the defaults are those of MobileCLIP-S2.
    """

    family: Literal['clip', 'siglip', 'mobileclip'] = 'clip'
    """'clip'; 'siglip' for SigLIP and for SigLIP 2 of fixed resolution; or 'mobileclip' for MobileCLIP and MobileCLIP 2."""
    vision: ClipVision = ClipVision()
    """The image tower, unless ``family`` is 'mobileclip'."""
    mobile: MobileVision = MobileVision()
    """The image tower of a 'mobileclip'."""
    text: ClipText = ClipText()
    """The text tower."""
    projection_dim: Width = 512
    """Channels of the space in which the towers' embeddings of image and prompt are compared."""
    causal: bool = True
    """Whether tokens of a prompt see earlier ones only; of a 'mobileclip', where it is false by default."""
    tokenizer_bytes: int = Field(0, ge=0, le=LARGEST_TOKENIZER)
    """Length of ``tokenizer.json``, which is kept with the weights."""

    @property
    def view_size(self) -> int:
        """Side of the view in pixels."""
        return self.mobile.image_size if self.family == 'mobileclip' else self.vision.image_size

    @property
    def sees_padding(self) -> bool:
        """Whether a prompt's embedding depends on its padding, so that all prompts must be as long as in pre-training."""
        return self.family == 'siglip' or not self.causal

    @model_validator(mode='before')
    @classmethod
    def _as_mobileclip_s2(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or given.get('family') != 'mobileclip':
            return given
        text = given.get('text', {})
        own = {'hidden_act': 'gelu', 'pad_token_id': 0}
        return {'causal': False, **given, 'text': {**own, **text} if isinstance(text, Mapping) else text}

    @model_validator(mode='after')
    def _has_what_its_family_has(self) -> 'ClipOptions':
        is_mobile, given = self.family == 'mobileclip', self.model_fields_set
        if not self.causal and not is_mobile:
            raise Wrong('causal', "true, unless family is 'mobileclip'")
        for name, is_its_own in (('vision', not is_mobile), ('mobile', is_mobile)):
            if name in given and not is_its_own:
                raise Wrong(name, f'left out if family is {self.family!r}')
        return self

    @model_validator(mode='after')
    def _image_is_compared_as_it_is(self) -> 'ClipOptions':
        if self.family == 'siglip' and self.projection_dim != self.vision.hidden_size:
            raise Wrong('projection_dim', f"{self.vision.hidden_size}, vision.hidden_size, for a 'siglip'")
        return self
