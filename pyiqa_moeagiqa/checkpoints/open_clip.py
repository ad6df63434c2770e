"""Reads ``open_clip_config.json``, in which the library OpenCLIP states what a CLIP is made of: here for MobileCLIPs alone.

The sections below are those that ``open_clip/push_to_hf_hub.py`` writes. Names and defaults are those of ``CLIPTextCfg`` and
``CLIPVisionCfg`` in ``model.py`` and of ``PreprocessCfg`` in ``transform.py``. A value that would make another network is refused.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field

from ..archs.encoder_options import CLIP_MEAN, CLIP_STD, Layers, MobileVision, PixelMean, PixelStd, Side, Width, Words
from ..options import OptionError, quoted, shown
from ..section import Section
from .file import CheckpointError

FILE = 'open_clip_config.json'
TOWERS = get_args(MobileVision.model_fields['name'].annotation)
POOLS = {'fastvit': 'avg', 'vit': 'token'}  # how the image's embedding is made of the tower's tokens


class _Vision(Section):
    timm_model_name: str
    timm_model_pretrained: bool = False
    timm_pool: str = 'avg'
    timm_proj: str | None = 'linear'
    timm_drop: float = Field(0.0, ge=0)  # this and the next are of OpenCLIP's own training
    timm_drop_path: float | None = Field(None, ge=0)
    image_size: Side = 224


class _Text(Section):
    context_length: Width = 77
    vocab_size: Words = 49408
    width: Width = 512
    heads: Width = 8
    layers: Layers = 12
    mlp_ratio: float = Field(4.0, ge=0.01, le=64)
    no_causal_mask: bool = False
    hf_tokenizer_name: str | None = None
    pad_id: Literal[0] = 0
    pool_type: Literal['argmax'] = 'argmax'
    proj_type: Literal['linear'] = 'linear'
    proj_bias: Literal[False] = False
    embed_cls: Literal[False] = False


class _Model(Section):
    embed_dim: Width
    vision_cfg: _Vision
    text_cfg: _Text
    custom_text: bool = False
    quick_gelu: bool = False


class _Pixels(Section):
    mean: PixelMean | None = None
    std: PixelStd | None = None
    interpolation: str | None = None
    resize_mode: Literal['shortest'] | None = None


class _Config(Section):
    model_cfg: _Model
    preprocess_cfg: _Pixels = _Pixels()


def mobileclip_options(content: Mapping[str, Any], source: str, tokenizer: tuple[bytes, int]) -> dict[str, Any]:
    """Return the ``semantic_options`` that the file states.

    Args:
        content: of the file.
        source: the folder or repository, for messages.
        tokenizer: ``tokenizer.json``, and the number of the token that pads according to ``tokenizer_config.json``.

    Raises:
        CheckpointError: for a CLIP that is no MobileCLIP.
    """
    _require_mobileclip(content, source)
    try:
        config = _Config.check(content)
    except OptionError as error:
        raise CheckpointError(f'{source}: its {FILE} cannot be used ({quoted(error)}); give another encoder.') from None
    model, pixels, (json, pad) = config.model_cfg, config.preprocess_cfg, tokenizer
    vision, text = model.vision_cfg, model.text_cfg
    if vision.timm_proj or vision.timm_pool != POOLS[vision.timm_model_name.split('_')[0]]:
        raise CheckpointError(
            f'{source}: its {FILE} makes the embedding of an image in another way than a MobileCLIP (timm_pool '
            f'{shown(vision.timm_pool)}, timm_proj {shown(vision.timm_proj)}); give another encoder.'
        )
    return {
        'family': 'mobileclip',
        'mobile': {
            'name': vision.timm_model_name,
            'image_size': vision.image_size,
            'mean': list(pixels.mean or CLIP_MEAN),
            'std': list(pixels.std or CLIP_STD),
        },
        'text': {
            'hidden_size': text.width,
            'intermediate_size': int(text.width * text.mlp_ratio),
            'num_attention_heads': text.heads,
            'num_hidden_layers': text.layers,
            'vocab_size': text.vocab_size,
            'max_position_embeddings': text.context_length,
            'hidden_act': 'quick_gelu' if model.quick_gelu else 'gelu',
            # OpenCLIP's own tokenizer pads with 0; if the file names another, that one's pad_token counts.
            'pad_token_id': pad if text.hf_tokenizer_name else 0,
        },
        'causal': not text.no_causal_mask,
        'projection_dim': model.embed_dim,
        'tokenizer_bytes': len(json),
    }


def _require_mobileclip(content: Mapping[str, Any], source: str) -> None:
    """Raise a CheckpointError that says what else to give, for a CLIP with another image tower."""
    part: Any = content
    for name in ('model_cfg', 'vision_cfg', 'timm_model_name'):
        part = part.get(name) if isinstance(part, Mapping) else None
    if part not in TOWERS:
        raise CheckpointError(
            f'{source}: its {FILE} describes a CLIP with the image tower {shown(part)}, which is none of a MobileCLIP '
            f'({", ".join(TOWERS)}); give the folder of a CLIP as the transformers library saves it.'
        )
