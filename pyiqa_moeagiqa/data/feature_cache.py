"""The frozen parts' features of each picture, computed once and kept on disk for every later epoch and run."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import default_collate

from ..archs.moeagiqa_arch import Features
from ..whole_file import whole_file
from .table import TableError


def picture_key(content: bytes, sizes: str, prompt: str) -> str:
    """What a picture's features follow from, beside the weights: the file's bytes, its crops and view, the prompt."""
    digest = hashlib.sha256(content)
    digest.update(f'{sizes} {prompt}'.encode())
    return digest.hexdigest()[:32]


class FeatureCache:
    """Features by ``picture_key``, as float16, one safetensors file each.

    Args:
        folder: where; the files lie in a folder in it that is named after the weights.
        fingerprint: of the frozen weights and the network's configuration.
    """

    def __init__(self, folder: Path | str, fingerprint: str):
        self.folder = Path(folder) / fingerprint[:16]

    def __contains__(self, key: str) -> bool:
        return self._file(key).is_file()

    def _file(self, key: str) -> Path:
        return self.folder / f'{key}.safetensors'

    def read(self, key: str) -> dict[str, Tensor]:
        """Features of one picture by name, float16, without the dimension of the batch.

        Raises:
            TableError: for a file that cannot be read.
        """
        try:
            return load_file(self._file(key))
        except (SafetensorError, OSError) as error:
            raise TableError(f'{self._file(key)}: cached features cannot be read ({error}); remove the file.') from None

    def write(self, key: str, features: Features) -> None:
        """Keep features of one picture; the file is there whole or not at all.

        Raises:
            TableError: where there is no room or no permission.
        """
        tensors = {
            name: part.half().cpu().contiguous() for name, part in features._asdict().items() if part is not None
        }
        try:
            with whole_file(self._file(key)) as part:
                save_file(tensors, part)
        except (SafetensorError, OSError) as error:
            raise TableError(
                f'{self.folder}: cached features cannot be written ({error}); make room, or set train option '
                'cache_folder to another place.'
            ) from None

    def remove(self, key: str) -> None:
        """Forget features of one picture, where they are kept."""
        self._file(key).unlink(missing_ok=True)

    def look_up(self, keys: Sequence[str], compute: Callable[[list[int]], Features]) -> Features:
        """Features of a batch; ``compute`` answers for the places that are not there yet."""
        missing = [place for place, key in enumerate(keys) if key not in self]
        if missing:
            with torch.no_grad():
                features = compute(missing)
            for row, place in enumerate(missing):
                self.write(keys[place], Features(*(None if part is None else part[row] for part in features)))
        return as_features(default_collate([self.read(key) for key in keys]))


def as_features(stored: Mapping[str, Tensor]) -> Features:
    """What the network takes, float32, from a batch of stored features."""
    return Features(**{name: stored[name].float() if name in stored else None for name in Features._fields})
