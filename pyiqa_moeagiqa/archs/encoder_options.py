"""What an option file or a checkpoint's header may change of an encoder: numbers of its shape, and no place or code.

A header comes from anyone. Whatever is not listed here, such as timm's ``checkpoint_path`` or transformers'
``attn_implementation``, which open files and addresses, is refused before an encoder is built.
"""

from collections.abc import Mapping
from typing import Any

from ..options import FLAG, MAPPING, Rule, check, number, one_of, whole

DEEPEST = 128  # layers; the deepest published ViTs have 48
WIDEST = 65_536  # channels, words' places and the like
WORDS = 1_000_000
SIDE = 4_096  # pixels

_LAYERS, _WIDTH, _HEADS = whole(1, DEEPEST), whole(1, WIDEST), whole(1, WIDEST)
_SHARE = number(0, 1)
_ACTIVATION = one_of('gelu', 'gelu_new', 'gelu_pytorch_tanh', 'quick_gelu', 'relu', 'silu')

VISUAL = {
    'embed_dim': _WIDTH,
    'depth': _LAYERS,
    'num_heads': _HEADS,
    'patch_size': whole(1, SIDE),
    'mlp_ratio': number(0.01, 64),
    'init_values': number(0, 1),
    'qkv_bias': FLAG,
    'qk_norm': FLAG,
    'proj_drop_rate': _SHARE,
    'attn_drop_rate': _SHARE,
    'drop_path_rate': _SHARE,
}
_TRANSFORMER = {
    'hidden_size': _WIDTH,
    'intermediate_size': _WIDTH,
    'num_hidden_layers': _LAYERS,
    'num_attention_heads': _HEADS,
    'hidden_act': _ACTIVATION,
    'layer_norm_eps': number(0, 1),
    'attention_dropout': _SHARE,
    'initializer_range': _SHARE,
}
BLIP_VISION = _TRANSFORMER | {'image_size': whole(1, SIDE), 'patch_size': whole(1, SIDE)}
TEXT = _TRANSFORMER | {
    'vocab_size': whole(1, WORDS),
    'max_position_embeddings': _WIDTH,
    'type_vocab_size': _WIDTH,
    'pad_token_id': whole(0, WORDS),
    'hidden_dropout_prob': _SHARE,
    'attention_probs_dropout_prob': _SHARE,
}


def check_visual_name(name: str) -> bool:
    """Whether a name may be one of timm's own: letters, digits and points, where addresses and folders have more."""
    return name.replace('.', '').replace('_', '').isalnum() and name.isascii()


def check_visual_options(options: Any) -> None:
    """Raise an OptionError for an option of timm's ViTs that is not listed, or out of range."""
    check(options, VISUAL, 'visual_options')
    _check_heads(options, 'embed_dim', 'num_heads', 'visual_options')


def check_semantic_options(options: Any, kind: str) -> None:
    """Raise an OptionError for an option of the text encoder ('blip' or 'bert') that is not listed, or out of range."""
    if kind == 'bert':
        _check_transformer(options, TEXT, 'semantic_options')
        return
    check(options, {'vision': MAPPING, 'text': MAPPING}, 'semantic_options')
    for part, rules in (('vision', BLIP_VISION), ('text', TEXT)):
        _check_transformer(options.get(part, {}), rules, f'semantic_options.{part}')


def _check_transformer(options: Any, rules: Mapping[str, Rule], where: str) -> None:
    check(options, rules, where)
    _check_heads(options, 'hidden_size', 'num_attention_heads', where)


def _check_heads(options: Mapping[str, Any], width: str, heads: str, where: str) -> None:
    """Where both are given, each head has as many channels."""
    if width in options and heads in options:
        divides = Rule(lambda value: value % options[heads] == 0, f'a multiple of {heads} ({options[heads]})')
        check({width: options[width]}, {width: divides}, where)
