"""Identifies the frozen tensors of checkpoints that hold only trained ones, and decides where to read them.

A header also says where its frozen tensors lie. It can come from anyone, so it alone opens no path and no address. When this
user trains, the sources of the frozen tensors are noted under their fingerprint, in ``frozen/`` of the folder of installed
checkpoints. Only such a note is followed to any path or address. Without a note, a header can name published weights by their
names in this package and timm. If it names a path, only the last part counts: a file of that name beside the checkpoint.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import torch
from torch import Tensor

from ..whole_file import whole_file
from .file import CheckpointError
from .find import EMBEDDED, FULL_SIZE, IMAGE_REWARD, home
from .sources import weights_file

MOST_NOTES = 15  # earlier sources that are kept for a fingerprint
NAMED = ('timm', IMAGE_REWARD, EMBEDDED, *FULL_SIZE)


def fingerprint(weights: Mapping[str, Tensor], beside: str = '') -> str:
    """Return the SHA-256 of the text ``beside`` and of tensors' names, types, shapes and values, in the order of names."""
    digest = hashlib.sha256(beside.encode())
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def portable(weights: Mapping[str, str]) -> dict[str, str]:
    """Return the sources of frozen parts, with files as absolute paths so that they are found from any folder.

    A folder's own file of weights stands for it, so that a header never leads into a folder. Links stay as they are: the hub's
    folders of a model consist of links, and a tokenizer lies beside the link, not beside the file that it leads to.
    """
    return {part: _portable(source) for part, source in weights.items()}


def _portable(source: str) -> str:
    path = Path(source).expanduser()
    if source not in NAMED and path.is_dir():
        path = weights_file(source)
    return str(path.absolute()) if path.is_file() else source


def note_sources(print_of_frozen: str, sources: Mapping[str, str]) -> None:
    """Remember the sources of the frozen tensors in this user's training, in addition to those noted before.

    Raises:
        OSError: if the folder of installed checkpoints cannot be written.
    """
    known = [noted for noted in _noted(print_of_frozen) if noted != sources][-MOST_NOTES:]
    with whole_file(_note(print_of_frozen)) as part:
        part.write_text(json.dumps([*known, dict(sources)]), encoding='utf-8')


def _note(print_of_frozen: str) -> Path:
    return home() / 'frozen' / f'{print_of_frozen}.json'


def places_of(frozen: Any, path: Path) -> list[dict[str, str]]:
    """Return the sources to try, in this order, for the frozen tensors of the checkpoint at ``path``.

    Sources from this user's notes come first, then those of ``frozen``, which is part of the checkpoint's header.

    Raises:
        CheckpointError: for a header without sources or fingerprint, and if neither notes nor header give a usable source.
    """
    stated = frozen.get('weights') if isinstance(frozen, Mapping) else None
    if (
        not isinstance(stated, Mapping)
        or not stated
        or not all(isinstance(source, str) for source in stated.values())
        or not re.fullmatch('[0-9a-f]{64}', str(frozen.get('fingerprint')))
    ):
        raise CheckpointError('its header does not give their names and their fingerprint')
    there = [noted for noted in _noted(frozen['fingerprint']) if not any(map(is_gone, noted.values()))]
    try:
        return [*there, {part: _beside(source, path) for part, source in stated.items()}]
    except CheckpointError:
        if not there:
            raise
        return there


def _noted(print_of_frozen: str) -> list[dict[str, str]]:
    try:
        return [dict(sources) for sources in json.loads(_note(print_of_frozen).read_text(encoding='utf-8'))]
    except (OSError, ValueError, TypeError):
        return []


def is_gone(source: str) -> bool:
    """Whether ``source`` is a path where nothing is."""
    return source not in NAMED and '://' not in source and not Path(source).expanduser().exists()


def _beside(source: str, path: Path) -> str:
    """Return a published name as it is, and for a path the file of that name beside the checkpoint."""
    if source in NAMED:
        return source
    if '://' in source:
        raise CheckpointError(f'its header names the address {source}, and no address in a header is opened')
    beside = path.parent / PureWindowsPath(source).name  # splits at slashes of both kinds
    if not beside.is_file():
        raise CheckpointError(
            f'{source}: there is no such file in its folder, nor has a training on this machine noted one'
        )
    return str(beside)
