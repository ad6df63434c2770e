"""Renames tensors of the released PyTorch files to this package's names: one function per part."""

import re

from torch import Tensor

Weights = dict[str, Tensor]

_REGRESSOR = (
    (r'down_channel\.', 'local_ffn.reduce.'),
    (r'conv\.0\.', 'local_ffn.local.'),
    (r'cross_attention\.to_out\.0\.', 'fusion.attention.to_out.'),
    (r'cross_attention\.', 'fusion.attention.'),
    (r'norm1\.', 'fusion.norm_visual.'),
    (r'norm2\.', 'fusion.norm_semantic.'),
    (r'fc\.0\.', 'inject.squeeze.'),
    (r'fc\.2\.', 'inject.excite.'),
    (r'weight([12])$', r'inject.w\1'),
    (r'gating_network\.0\.', 'experts.quality.gate.'),
    (r'proj_experts\.(\d+)\.project\.', r'experts.quality.experts.\1.'),
)
# Stored as (in, out) and multiplied from the right, so they are transposed.
_REGRESSOR_MATRICES = {'proj': 'project_semantic.weight', 'proj_prior': 'inject.project.weight'}

_BLIP_VISION = (
    (r'cls_token$', 'embeddings.class_embedding'),
    (r'pos_embed$', 'embeddings.position_embedding'),
    (r'patch_embed\.proj\.', 'embeddings.patch_embedding.'),
    (r'norm\.', 'post_layernorm.'),
    (r'blocks\.(\d+)\.norm([12])\.', r'encoder.layers.\1.layer_norm\2.'),
    (r'blocks\.(\d+)\.attn\.qkv\.', r'encoder.layers.\1.self_attn.qkv.'),
    (r'blocks\.(\d+)\.attn\.proj\.', r'encoder.layers.\1.self_attn.projection.'),
    (r'blocks\.(\d+)\.mlp\.', r'encoder.layers.\1.mlp.'),
)

_OPEN_CLIP = (
    (r'visual\.trunk\.', 'trunk.'),
    (r'text\.text_projection$', 'text_projection.weight'),
    (r'text\.token_embedding\.', 'text_model.embeddings.token_embedding.'),
    (r'text\.positional_embedding$', 'text_model.embeddings.position_embedding.weight'),
    (r'text\.ln_final\.', 'text_model.final_layer_norm.'),
    (r'text\.transformer\.resblocks\.(\d+)\.ln_([12])\.', r'text_model.encoder.layers.\1.layer_norm\2.'),
    (r'text\.transformer\.resblocks\.(\d+)\.mlp\.c_fc\.', r'text_model.encoder.layers.\1.mlp.fc1.'),
    (r'text\.transformer\.resblocks\.(\d+)\.mlp\.c_proj\.', r'text_model.encoder.layers.\1.mlp.fc2.'),
    (r'text\.transformer\.resblocks\.(\d+)\.attn\.out_proj\.', r'text_model.encoder.layers.\1.self_attn.out_proj.'),
    (r'text\.transformer\.resblocks\.(\d+)\.attn\.', r'text_model.encoder.layers.\1.attn.'),
)

# The numbers that are left out belong to dropout.
_REWARD_HEAD = tuple((rf'mlp\.layers\.{theirs}\.', f'head.{ours}.') for ours, theirs in enumerate((0, 2, 4, 6, 7)))

_IMAGE_REWARD_UNUSED = r'(?:blip\.)?(?:mlp\.|vision_proj\.|text_proj\.|text_encoder\.embeddings\.position_ids$)'


def _rename(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        if re.match(pattern, name):
            return re.sub('^' + pattern, replacement, name)
    return name


def without_data_parallel(state: Weights) -> Weights:
    """Remove the prefix ``module.`` that DataParallel puts before names."""
    return {name.removeprefix('module.'): tensor for name, tensor in state.items()}


def from_released_regressor(state: Weights) -> Weights:
    """Rename the released regressor (FFN, injection, fusion, gate and experts) to this package's names."""
    renamed = {_rename(name, _REGRESSOR): tensor for name, tensor in state.items() if name not in _REGRESSOR_MATRICES}
    matrices = {ours: state[name] for name, ours in _REGRESSOR_MATRICES.items() if name in state}
    return renamed | {name: tensor.T if tensor.dim() == 2 else tensor for name, tensor in matrices.items()}


def from_image_reward(state: Weights) -> Weights:
    """Rename ImageReward's BLIP (also the released fine-tuned one) to ``semantic.vision.*`` and ``semantic.text.*``.

    ImageReward's own score head and BLIP's projections are left out, because MoE-AGIQA uses neither; other names stay.
    """
    renamed = {}
    for name, tensor in state.items():
        encoder = re.search(r'(?:^|\.)(visual_encoder|text_encoder)\.(.+)$', name)
        if re.match(_IMAGE_REWARD_UNUSED, name):
            continue
        if encoder is None:
            renamed[name] = tensor
        elif encoder[1] == 'visual_encoder':
            renamed['semantic.vision.' + _rename(encoder[2], _BLIP_VISION)] = tensor
        else:
            renamed['semantic.text.' + encoder[2]] = tensor
    return renamed


def from_reward_head(state: Weights) -> Weights:
    """Rename ImageReward's own score head to ``head.*``."""
    return {_rename(name, _REWARD_HEAD): tensor for name, tensor in state.items() if name.startswith('mlp.')}


def from_bert(state: Weights) -> Weights:
    """Rename a BERT's tensors to ``Bert``'s: without the prefix ``bert.``, and without pooler, heads and constants."""
    unused = ('pooler.', 'cls.', 'qa_outputs.', 'classifier.', 'embeddings.position_ids')
    names = {name: name.removeprefix('bert.') for name in state}
    return {ours: state[name] for name, ours in names.items() if not ours.startswith(unused)}


def from_clip(state: Weights) -> Weights:
    """Rename a CLIP's tensors to those of its ``Towers``.

    Names of transformers stay, those of OpenCLIP change. The scale of the logits, constants and counts are left out.
    """
    unused = ('logit_scale', 'logit_bias', '.position_ids', '.num_batches_tracked')
    state = {name: tensor for name, tensor in state.items() if not name.endswith(unused)}
    return _from_open_clip(state) if 'text.positional_embedding' in state else state


def _from_open_clip(state: Weights) -> Weights:
    renamed = {}
    for name, tensor in state.items():
        ours = _rename(name, _OPEN_CLIP)
        if (
            '.attn.in_proj_' in ours
        ):  # queries, keys and values in one; wrong shapes are refused when all names are compared
            parts = tensor.chunk(3) if tensor.dim() else [tensor]
            for part, one in zip('qkv', parts, strict=False):
                renamed[ours.replace('attn.in_proj_', f'self_attn.{part}_proj.')] = one.clone()
        else:
            # Stored as (in, out) and multiplied from the right.
            is_turned = ours == 'text_projection.weight' and tensor.dim() == 2
            renamed[ours] = tensor.T.contiguous() if is_turned else tensor
    return renamed
