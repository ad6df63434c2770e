"""Keep the features of each picture's content on disk: they are computed once, for every later epoch and run."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import default_collate

from ..archs.moeagiqa_arch import Features
from ..checkpoints.partial import fingerprint
from ..file_hash import file_hash
from ..whole_file import whole_file
from .table import TableError

CONTENT = 'content'  # where a file's header holds the fingerprint of its tensors


def picture_key(path: Path | str, *others: str) -> str:
    """Hash all that a picture's features depend on, besides the weights: its file's content, and texts such as its prompt."""
    return hashlib.sha256(json.dumps([file_hash(path), *others]).encode()).hexdigest()[:32]


class FeatureCache:
    """Features by ``picture_key``: tensors by name, without a batch dimension, in one safetensors file per picture.

    Args:
        folder: folder of the cache; the files lie in a folder within it that is named after ``made_by``.
        made_by: fingerprint of the weights and settings that make the features.
        view_only: whether only features of the view and the prompt are kept, which do not depend on crops.
        dtype: of the features in the files.
    """

    def __init__(self, folder: Path | str, made_by: str, view_only: bool = False, dtype: torch.dtype = torch.float16):
        self.folder, self.view_only, self.dtype = Path(folder) / made_by[:16], view_only, dtype

    def __contains__(self, key: str) -> bool:
        return self._file(key).is_file()

    def _file(self, key: str) -> Path:
        return self.folder / f'{key}.safetensors'

    def read(self, key: str) -> dict[str, Tensor]:
        """Read the features of one picture.

        Raises:
            TableError: for a file that cannot be read, or whose content has changed since it was written.
        """
        try:
            with safe_open(self._file(key), 'pt') as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                if (file.metadata() or {}).get(CONTENT) == fingerprint(tensors):
                    return tensors
            problem = 'it is damaged'
        except (SafetensorError, OSError) as error:
            problem = str(error)
        raise TableError(f'{self._file(key)}: cached features cannot be read ({problem}); remove the file.')

    def write(self, key: str, features: Mapping[str, Tensor]) -> None:
        """Write the features of one picture; the file is written completely or not at all.

        Raises:
            TableError: where there is no room or no permission.
        """
        tensors = {name: part.cpu().contiguous() for name, part in features.items()}
        try:
            with whole_file(self._file(key)) as part:
                save_file(tensors, part, {CONTENT: fingerprint(tensors)})
        except (SafetensorError, OSError) as error:
            raise TableError(
                f'{self.folder}: cached features cannot be written ({error}); make room, or name another folder (in '
                'training by train option cache_folder).'
            ) from None

    def remove(self, key: str) -> None:
        """Remove the features of one picture from the cache, if they are there."""
        self._file(key).unlink(missing_ok=True)

    def require_room(self, pictures: int, key: str) -> int:
        """Return how many bytes so many more pictures will take, if each takes as many as that of ``key``.

        Raises:
            TableError: where there is less room.
        """
        needed, free = pictures * self._file(key).stat().st_size, shutil.disk_usage(self.folder).free
        if needed > free:
            raise TableError(
                f'{self.folder}: cached features of {pictures} more pictures take {needed / 1e9:.1f} GB, but {free / 1e9:.1f} '
                'GB are free; make room, name another train option cache_folder, or cache less.'
            )
        return needed

    def look_up(self, keys: Sequence[str], compute: Callable[[list[int]], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Return the features of a batch; ``compute`` is called with the places in it that the cache lacks."""
        self.fill(keys, compute)
        return default_collate([self.read(key) for key in keys])

    def fill(self, keys: Sequence[str], compute: Callable[[list[int]], Mapping[str, Tensor]]) -> None:
        """Write the features of a batch; ``compute`` is called with the places in it that the cache lacks."""
        missing = [place for place, key in enumerate(keys) if key not in self]
        if missing:
            with torch.no_grad():
                features = compute(missing)
            for row, place in enumerate(missing):
                self.write(keys[place], {name: part[row] for name, part in features.items()})


def as_stored(features: Features, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """Convert what the network's frozen parts give to what a cache keeps of it."""
    return {name: part.to(dtype) for name, part in features._asdict().items() if part is not None}


def as_features(stored: Mapping[str, Tensor]) -> Features:
    """Convert a batch of stored features to what the network takes, in float32."""
    return Features(**{name: stored[name].float() if name in stored else None for name in Features._fields})
