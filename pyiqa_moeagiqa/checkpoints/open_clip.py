"""Reads ``open_clip_config.json``, in which the library OpenCLIP states what a CLIP is made of: here for MobileCLIPs alone.

The format is that of ``open_clip/push_to_hf_hub.py``; defaults are those of ``CLIPTextCfg`` and ``CLIPVisionCfg`` in its ``model.py``.
"""

from collections.abc import Mapping
from typing import Any, get_args

from ..archs.encoder_options import MobileVision
from .file import CheckpointError

FILE = 'open_clip_config.json'
TOWERS = get_args(MobileVision.model_fields['name'].annotation)
# How the image's embedding is made of the tower's tokens; MobileCLIP's projection is timm's own classifier.
POOLS = {'fastvit': 'avg', 'vit': 'token'}
NO_EFFECT = {'hf_tokenizer_name'}
TEXT = {'context_length', 'vocab_size', 'width', 'heads', 'layers', 'no_causal_mask'}


def mobileclip_options(config: Mapping[str, Any], source: str, tokenizer: tuple[bytes, int]) -> dict[str, Any]:
    """Return the ``semantic_options`` that the file's content states.

    Args:
        config: the content.
        source: the folder or repository, for messages.
        tokenizer: ``tokenizer.json``, and the number of the token that pads according to ``tokenizer_config.json``.

    Raises:
        CheckpointError: for a CLIP that is no MobileCLIP.
    """
    model, pixels = _section(config, 'model_cfg', source), _section(config, 'preprocess_cfg', source)
    vision, text = _section(model, 'vision_cfg', source), _section(model, 'text_cfg', source)
    name, pool = vision.get('timm_model_name'), vision.get('timm_pool')
    if name not in TOWERS or vision.get('timm_proj') or pool != POOLS[str(name).split('_')[0]]:
        raise CheckpointError(
            f'{source}: its {FILE} describes a CLIP with the image tower {name!r}, which is none of a MobileCLIP '
            f'({", ".join(TOWERS)}); give the folder of a CLIP as the transformers library saves it.'
        )
    if unknown := sorted(set(text) - TEXT - NO_EFFECT):
        raise CheckpointError(
            f"{source}: its {FILE} gives text_cfg the option {unknown[0]!r}, which a MobileCLIP's has not; give another encoder."
        )
    content, pad = tokenizer
    width = text.get('width', 512)
    return {
        'family': 'mobileclip',
        'mobile': {
            'name': name,
            'image_size': vision.get('image_size', 224),
            'mean': pixels.get('mean', (0.0, 0.0, 0.0)),
            'std': pixels.get('std', (1.0, 1.0, 1.0)),
        },
        'text': {
            'hidden_size': width,
            'intermediate_size': 4 * width,
            'num_attention_heads': text.get('heads', 8),
            'num_hidden_layers': text.get('layers', 12),
            'vocab_size': text.get('vocab_size', 49408),
            'max_position_embeddings': text.get('context_length', 77),
            'hidden_act': 'quick_gelu' if model.get('quick_gelu') else 'gelu',
            # OpenCLIP's own tokenizer pads with 0; if another is named, its pad_token counts.
            'pad_token_id': pad if text.get('hf_tokenizer_name') else 0,
        },
        'causal': not text.get('no_causal_mask', False),
        'projection_dim': model.get('embed_dim'),
        'tokenizer_bytes': len(content),
    }


def _section(config: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    section = config.get(name)
    if not isinstance(section, Mapping):
        raise CheckpointError(f'{source}: its {FILE} has no section {name}; get it again.')
    return section
