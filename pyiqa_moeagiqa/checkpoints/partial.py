"""For checkpoints that hold trained tensors only: what tells the frozen ones from others, and where they may be read.

Where a header says that its frozen tensors lie is the word of whoever wrote the file, so it opens no path and no address.
What a run of this user's own training started from is noted under the fingerprint of its frozen tensors, in ``frozen/`` of
the folder of installed checkpoints: only such a note is followed wherever it leads. Of a header without one count the names
that this package and timm give to published weights, and of a path its last part: a file beside the checkpoint.
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
from .find import EMBEDDED, FULL_SIZE, home

MOST_NOTES = 15  # of earlier places
NAMED = ('timm', EMBEDDED, *FULL_SIZE)


def fingerprint(weights: Mapping[str, Tensor], beside: str = '') -> str:
    """SHA-256 over tensors' names, shapes and values, in the order of their names, and over a text beside them."""
    digest = hashlib.sha256(beside.encode())
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def portable(weights: Mapping[str, str]) -> dict[str, str]:
    """Where frozen parts come from, with files named so that they are found from any folder."""
    return {
        part: str(Path(source).expanduser().resolve()) if Path(source).expanduser().is_file() else source
        for part, source in weights.items()
    }


def note_sources(print_of_frozen: str, sources: Mapping[str, str]) -> None:
    """Remember where this user's training has its frozen tensors from, beside where it had them before.

    Raises:
        OSError: where the folder of installed checkpoints cannot be written.
    """
    known = [noted for noted in _noted(print_of_frozen) if noted != sources][-MOST_NOTES:]
    with whole_file(_note(print_of_frozen)) as part:
        part.write_text(json.dumps([*known, dict(sources)]), encoding='utf-8')


def _note(print_of_frozen: str) -> Path:
    return home() / 'frozen' / f'{print_of_frozen}.json'


def places_of(frozen: Any, path: Path) -> list[dict[str, str]]:
    """Where the frozen tensors of the checkpoint at ``path`` may be, from its header's ``frozen``: to be tried in this order.

    Raises:
        CheckpointError: for a header that names no place or no fingerprint.
    """
    stated = frozen.get('weights') if isinstance(frozen, Mapping) else None
    known = isinstance(stated, Mapping) and stated and all(isinstance(source, str) for source in stated.values())
    if not known or not re.fullmatch('[0-9a-f]{64}', str(frozen.get('fingerprint'))):
        raise CheckpointError('its header lacks their names or their fingerprint')
    there = [noted for noted in _noted(frozen['fingerprint']) if not any(map(_is_gone, noted.values()))]
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


def _is_gone(source: str) -> bool:
    return source not in NAMED and '://' not in source and not Path(source).is_file()


def _beside(source: str, path: Path) -> str:
    """A published name as it is, and of a path the file of that name beside the checkpoint."""
    if source in NAMED:
        return source
    if '://' in source:
        raise CheckpointError(f'its header names the address {source}, which is opened for nobody but you')
    beside = path.parent / PureWindowsPath(source).name  # takes slashes of both kinds
    if not beside.is_file():
        raise CheckpointError(f'{source}: there is no such file beside it, and none that a training of yours has noted')
    return str(beside)
