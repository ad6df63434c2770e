"""Where checkpoints are: the embedded one, installed ones, a local file, https:// and hf://."""

import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from ..whole_file import whole_file
from .convert import read_weights
from .file import CheckpointError, first_line, holds_image_reward, read, read_header, require_file

EMBEDDED = 'moeagiqa'
FULL_SIZE = ('moeagiqa-v1', 'moeagiqa-v2')
IMAGE_REWARD_FILE = 'ImageReward.pt'
Check = Callable[[Path], Any]  # raises a CheckpointError for a file that is of no use


def home() -> Path:
    """The folder of installed and downloaded checkpoints: ``MOEAGIQA_HOME``, or ``~/.cache/moeagiqa``."""
    return Path(os.environ.get('MOEAGIQA_HOME') or Path.home() / '.cache' / 'moeagiqa')


def find(source: str | Path, check: Check = read_header) -> Path:
    """The local file of a model name, path, ``https://...`` or ``hf://owner/repo/file``; downloads where needed.

    Args:
        source: where it is.
        check: what a download has to pass.

    Raises:
        CheckpointError: saying in one sentence what is missing and how to get it.
    """
    source = str(source)
    if source == EMBEDDED:
        return Path(str(resources.files(__package__) / 'moeagiqa.safetensors'))
    if source in FULL_SIZE:
        return _find_full_size(source)
    if source.endswith('.onnx') and '://' in source:
        raise CheckpointError(f'{source}: an ONNX graph is read from a file alone; download it, then give its path.')
    if source.startswith('hf://'):
        return _from_hub(source, check)
    if source.startswith('https://'):
        return _download(source, check)
    if source.startswith('http://'):
        raise CheckpointError(f'{source}: plain http can be tampered with; give an https:// address.')
    return Path(source).expanduser()


def installed(name: str) -> Path:
    """Where the checkpoint that answers to a full-size model's name is put."""
    return home() / f'{name}.safetensors'


def _find_full_size(name: str) -> Path:
    path = installed(name)
    if not path.is_file():
        raise CheckpointError(
            f'{name} has no weights yet: convert the released files with "moeagiqa convert", then "moeagiqa weights '
            f'install FILE", or pass pretrained_model_path=FILE.'
        )
    found = read_header(path)[1].get('model_name')
    if found != name:
        raise CheckpointError(
            f'{path}: a checkpoint of {found!r}, not of {name!r}; remove it, then "moeagiqa weights install FILE".'
        )
    return path


def install(path: Path | str) -> Path:
    """Copy a checkpoint, or ``ImageReward.pt``, to where its model name finds it; returns that place.

    Raises:
        CheckpointError: for a file that is no whole checkpoint of moeagiqa-v1, moeagiqa-v2 or imagereward.
    """
    path = Path(path).expanduser()
    require_file(path)
    if holds_image_reward(path):
        read_weights(path)
        return _copy(path, home() / IMAGE_REWARD_FILE)
    checkpoint = read(path)
    name = checkpoint.info.get('model_name')
    if name not in FULL_SIZE:
        raise CheckpointError(
            f'{path}: a checkpoint of {name!r}; only {" and ".join(FULL_SIZE)} are installed by name, '
            'use this one with pretrained_model_path=.'
        )
    if checkpoint.config.prior != (name == 'moeagiqa-v2'):
        has = 'has a' if checkpoint.config.prior else 'has no'
        raise CheckpointError(f'{path}: says it is {name}, but {has} prior; use it with pretrained_model_path=.')
    return _copy(path, installed(name))


def _copy(path: Path, target: Path) -> Path:
    with whole_file(target) as part:
        shutil.copyfile(path, part)
    return target


def _from_hub(source: str, check: Check) -> Path:
    from huggingface_hub import hf_hub_download

    parts = source.removeprefix('hf://').split('/', 2)
    if len(parts) != 3 or not all(parts):
        raise CheckpointError(f'{source}: write hf://owner/repository/file.')
    owner, repository, name = parts
    try:
        path = Path(hf_hub_download(f'{owner}/{repository}', name))
    except Exception as error:  # the hub's client passes on whatever its transport raises
        reason = first_line(error)
        raise CheckpointError(
            f'{source}: it could not be fetched from the hub ({reason}); check the name, or give a file.'
        ) from None
    _check(check, path, source)
    return path


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows no redirect to plain http, where anyone on the way could put other weights."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not newurl.startswith('https://'):
            raise urllib.error.URLError(f'it redirects to {newurl}, which is not https')
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, check: Check) -> Path:
    name = Path(urllib.parse.urlparse(url).path).name or 'checkpoint'
    target = home() / 'downloads' / f'{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}'
    if target.is_file():
        return target
    try:
        with whole_file(target) as part:
            with urllib.request.build_opener(_OnlyHttps).open(url, timeout=30) as answer, part.open('wb') as file:
                shutil.copyfileobj(answer, file)
            _check(check, part, url)  # an error page or half a file is not kept
    except (OSError, http.client.HTTPException) as error:
        reason = first_line(error)
        raise CheckpointError(
            f'{url}: it could not be downloaded ({reason}); check the address, or give a file.'
        ) from None
    return target


def _check(check: Check, path: Path, source: str) -> None:
    """Raise a CheckpointError that names where a file came from, not where it lies now."""
    try:
        check(path)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(path), source, 1)) from None
