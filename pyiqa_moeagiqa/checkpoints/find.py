"""Finds checkpoints: the embedded one, installed ones, a local file, https:// and hf://."""

import hashlib
import os
import shutil
import urllib.parse
from importlib import resources
from pathlib import Path

from ..options import quoted
from ..whole_file import whole_file
from .convert import read_weights
from .download import Check, download, named, quiet_hub, require_promised
from .file import CheckpointError, holds_image_reward, read, read_header, require_file

EMBEDDED = 'moeagiqa'
FULL_SIZE = ('moeagiqa-v1', 'moeagiqa-v2')
IMAGE_REWARD = 'imagereward'
IMAGE_REWARD_FILE = 'ImageReward.pt'


def home() -> Path:
    """The folder of installed and downloaded checkpoints: ``MOEAGIQA_HOME``, or ``~/.cache/moeagiqa``."""
    return Path(os.environ.get('MOEAGIQA_HOME') or Path.home() / '.cache' / 'moeagiqa')


def find(source: str | Path, check: Check = read_header) -> Path:
    """Return the local file of a model name, path, ``https://...`` or ``hf://owner/repo/file``; download it if needed.

    Args:
        source: the name, path or address.
        check: raises a CheckpointError for an unusable download.

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
        try:
            return download(source, _place(source), check)
        except CheckpointError:
            raise
        except ValueError as error:  # urllib raises it for a malformed address
            raise CheckpointError(
                f'{source}: it is not a valid address ({quoted(error)}); check it, or give a file.'
            ) from None
    if source.startswith('http://'):
        raise CheckpointError(f'{source}: plain http can be tampered with; give an https:// address.')
    return Path(source).expanduser()


def installed(name: str) -> Path:
    """The file where the checkpoint of a full-size model is installed, by the model's name."""
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
            f'{path}: it is a checkpoint of {found!r}, not of {name!r}; remove it, then "moeagiqa weights install FILE".'
        )
    return path


def install(path: Path | str) -> Path:
    """Copy a checkpoint, or ``ImageReward.pt``, to the file that its model name refers to; return that file.

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
            f'{path}: it is a checkpoint of {name!r}, and only those of {" and ".join(FULL_SIZE)} are installed; use it with '
            '--weights or pretrained_model_path.'
        )
    if checkpoint.config.prior != (name == 'moeagiqa-v2'):
        has = 'has a' if checkpoint.config.prior else 'has no'
        raise CheckpointError(
            f'{path}: its header says {name}, but it {has} prior; use it with --weights or pretrained_model_path.'
        )
    return _copy(path, installed(name))


def _copy(path: Path, target: Path) -> Path:
    with whole_file(target) as part:
        shutil.copyfile(path, part)
    return target


def _from_hub(source: str, check: Check) -> Path:
    parts = source.removeprefix('hf://').split('/', 2)
    if len(parts) != 3 or not all(parts):
        raise CheckpointError(f'{source}: write hf://owner/repository/file.')
    owner, repository, name = parts
    path = fetch(f'{owner}/{repository}', name, source)
    assert path is not None  # only a file that is not required can be missing
    named(check, path, source)
    return path


def fetch(repository: str, name: str, source: str, required: bool = True) -> Path | None:
    """Return the local copy of a file of the hub, as ``from_hub`` does, with errors that name ``source``.

    Returns None for a file that is not ``required`` and that the repository lacks.

    Raises:
        CheckpointError: for a file that cannot be fetched or is damaged.
    """
    from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return from_hub(repository, name, source)
    except CheckpointError:
        raise
    except Exception as error:  # the hub's client passes on every error of its transport
        if isinstance(error, LocalEntryNotFoundError):  # the hub does not answer; its cache notes which files it lacks
            is_missing = try_to_load_from_cache(repository, name) is _CACHED_NO_EXIST
        else:
            is_missing = isinstance(error, EntryNotFoundError)
        if is_missing and not required:
            return None
        raise CheckpointError(
            f'{source}: it could not be fetched from the hub ({quoted(error)}); check the name and the connection, or give a '
            'file.'
        ) from None


def from_hub(repository: str, name: str, source: str) -> Path:
    """Return a file of the Hugging Face hub from its cache, or fetch it and compare it with the hub's SHA-256.

    Raises:
        CheckpointError: for a fetched file that does not have the hub's SHA-256. The hub's client raises other errors.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    known = try_to_load_from_cache(repository, name)  # not a string if the file is not cached
    with quiet_hub():
        path = Path(hf_hub_download(repository, name))
    if not isinstance(known, str) or Path(known).resolve() != path.resolve():
        require_promised(path, source)
    return path


def _place(url: str) -> Path:
    name = Path(urllib.parse.urlparse(url).path).name or 'checkpoint'
    return home() / 'downloads' / f'{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name[-100:]}'
