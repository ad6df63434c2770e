"""Finds the files of an encoder: weights of any library, and what lies beside them, in a folder or on the Hugging Face hub."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..archs.encoder_options import LARGEST_TOKENIZER, BertOptions, ClipText, ClipVision
from ..archs.tokenizer import bert_tokenizer, json_tokenizer
from ..options import OptionError, quoted
from ..section import Section
from . import open_clip
from .file import CheckpointError, require_file
from .find import fetch

HUB = 'hf://'
# as transformers and timm, then as OpenCLIP name them, the safer one first
WEIGHTS = ('model.safetensors', 'pytorch_model.bin', 'open_clip_model.safetensors', 'open_clip_pytorch_model.bin')
LARGEST_JSON = 2**20  # bytes of a config.json; usual ones have 2 KiB


def weights_file(source: str) -> Path:
    """Return the local file of an encoder's weights: a file as it is, or the weights in a folder or a repository.

    Args:
        source: a file, a folder as ``save_pretrained`` writes it, ``hf://OWNER/NAME``, or ``hf://OWNER/NAME/FILE``.

    Raises:
        CheckpointError: for a folder or repository without weights, and for what cannot be fetched.
    """
    if source.startswith(HUB):
        repository, name = _hub_place(source)
        found = fetch(repository, name, source) if name else _first(repository, source)
    else:
        path = Path(source).expanduser()
        if not path.is_dir():
            return path
        found = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
    if found is None:
        raise CheckpointError(f'{source}: it has no {" and no ".join(WEIGHTS)}; name the file of the weights.')
    return found


def _first(repository: str, source: str) -> Path | None:
    return next((found for name in WEIGHTS if (found := fetch(repository, name, source, required=False))), None)


def is_at_hand(source: str) -> bool:
    """Whether the weights of an ``hf://`` address are in the hub's cache, so that ``weights_file`` downloads nothing."""
    repository, name = _hub_place(source)
    return is_cached(repository, [name] if name else WEIGHTS)


def is_cached(repository: str, names: Iterable[str] = WEIGHTS) -> bool:
    """Whether one of these files of a repository is in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)


def beside(source: str, name: str) -> Path | None:
    """Return the local file ``name`` that lies with an encoder's weights; None if there is none.

    Raises:
        CheckpointError: for a file on the hub that cannot be fetched.
    """
    if source.startswith(HUB):
        repository, weights = _hub_place(source)
        return fetch(repository, str(PurePosixPath(weights).parent / name), source, required=False)
    path = Path(source).expanduser()
    found = (path if path.is_dir() else path.parent) / name
    return found if found.is_file() else None


def _hub_place(source: str) -> tuple[str, str]:
    """Split ``hf://OWNER/NAME/FILE`` into the repository and the file, which may be empty."""
    parts = source.removeprefix(HUB).rstrip('/').split('/', 2)
    if len(parts) < 2 or not all(parts):
        raise CheckpointError(f'{source}: write hf://owner/repository or hf://owner/repository/file.')
    return f'{parts[0]}/{parts[1]}', parts[2] if len(parts) == 3 else ''


def _is_folder(source: str) -> bool:
    """Whether a source is a folder or a repository, or the weights in one: only there other files surely belong to the weights."""
    path = Path(source).expanduser()
    return source.startswith(HUB) or path.is_dir() or path.name in WEIGHTS


def stated_options(source: str, semantic: str) -> dict[str, Any]:
    """Return the ``semantic_options`` that the folder of a text encoder's weights states; empty if it states none.

    They stand in ``config.json``, or for a MobileCLIP in ``open_clip_config.json``.

    Args:
        source: as ``weights_file`` takes it.
        semantic: the configuration's ``semantic``, 'bert' or 'clip'.

    Raises:
        CheckpointError: for files that cannot be read, or that describe another kind of encoder.
    """
    if not _is_folder(source):
        return {}
    kinds = {'bert': ('bert',), 'clip': ('clip', 'siglip')}[semantic]
    path = beside(source, 'config.json')
    config = _json(path, source) if path else {}
    kind = config.get('model_type')
    if kind not in kinds and semantic == 'clip' and (other := beside(source, open_clip.FILE)):
        return open_clip.mobileclip_options(_json(other, source), source, _tokenizer_files(source))
    if path is None:
        return {}
    if kind not in kinds:
        raise CheckpointError(
            f'{source}: its config.json describes a {kind!r}, but semantic is {semantic!r}, which takes a '
            f'{" or a ".join(map(repr, kinds))}; give another encoder.'
        )
    if semantic == 'bert':
        return _known(config, BertOptions)
    return _clip_options(config, source)


def _clip_options(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the options of a CLIP or SigLIP, with transformers' defaults for what its config.json leaves out."""
    from transformers import CLIPConfig, SiglipConfig

    family = config['model_type']
    try:
        whole: Any = (SiglipConfig if family == 'siglip' else CLIPConfig)(**config)
    except Exception as error:  # it checks types by a library of its own
        raise CheckpointError(f'{source}: its config.json cannot be used ({quoted(error)}); get it again.') from None
    text = _known(whole.text_config.to_dict(), ClipText)
    content, pad = _tokenizer_files(source)
    return {
        'family': family,
        'vision': _known(whole.vision_config.to_dict(), ClipVision),
        'text': text | {'pad_token_id': pad},  # config.json's own number is often another than the tokenizer's
        'projection_dim': whole.text_config.projection_size if family == 'siglip' else whole.projection_dim,
        'tokenizer_bytes': len(content),
    }


def _known(config: Mapping[str, Any], options: type[Section]) -> dict[str, Any]:
    """Return those of the options that a config.json gives."""
    return {name: config[name] for name in options.model_fields if config.get(name) is not None}


def tokenizer_json(source: str) -> bytes:
    """Return the ``tokenizer.json`` beside a text encoder's weights.

    Raises:
        CheckpointError: if there is none, or it is too large.
    """
    path = beside(source, 'tokenizer.json')
    if path is None:
        raise CheckpointError(f'{source}: it has no tokenizer.json; save the tokenizer into the folder of the weights.')
    if path.stat().st_size > LARGEST_TOKENIZER:
        raise CheckpointError(
            f'{source}: its tokenizer.json is larger than {LARGEST_TOKENIZER >> 20} MiB; give another.'
        )
    return path.read_bytes()


def _tokenizer_files(source: str) -> tuple[bytes, int]:
    """Return ``tokenizer.json``, and the number of the token that pads, which ``tokenizer_config.json`` names."""
    content, path = tokenizer_json(source), beside(source, 'tokenizer_config.json')
    named = _json(path, source).get('pad_token') if path else None
    name = named.get('content') if isinstance(named, Mapping) else named
    number = _tokenizer(content, source).encoder.token_to_id(name) if isinstance(name, str) else None
    if number is None:
        raise CheckpointError(
            f'{source}: its tokenizer_config.json names no pad_token of its vocabulary; save the tokenizer there again.'
        )
    return content, number


def _tokenizer(content: bytes, source: str) -> Any:
    try:
        return json_tokenizer(content, 0, lower=False)
    except OptionError as error:
        raise CheckpointError(f'{source}: {quoted(error)}; save the tokenizer there again.') from None


def require_bert_words(source: str) -> None:
    """Raise a CheckpointError for a BERT whose ``tokenizer.json`` has other words than BERT's uncased vocabulary.

    Without that file only the number of its words is checked, see ``require_room_for_prompts``.
    """
    if not _is_folder(source) or beside(source, 'tokenizer.json') is None:
        return
    theirs, ours = _tokenizer(tokenizer_json(source), source).encoder, bert_tokenizer().encoder
    if theirs.get_vocab(with_added_tokens=True) != ours.get_vocab(with_added_tokens=True):
        raise CheckpointError(
            f"{source}: its vocabulary is not BERT's uncased one, with which semantic: bert reads prompts; give another encoder."
        )


def _json(path: Path, source: str) -> dict[str, Any]:
    """Read a small JSON file beside an encoder's weights, which holds a dictionary."""
    require_file(path)
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise ValueError(f'it is larger than {LARGEST_JSON >> 20} MiB')
        content = json.loads(path.read_text(encoding='utf-8'))
        if not isinstance(content, dict):
            raise ValueError(f'it holds a {type(content).__name__}, not a dictionary')
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f'{source}: its {path.name} cannot be read ({quoted(error)}); get it again.') from None
    return content
