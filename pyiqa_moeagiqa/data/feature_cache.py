"""Keep the frozen parts' features of each picture on disk, computed once, for every later epoch and run."""

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
    """Hash all that a picture's features depend on, besides the weights: its file's bytes, crops and view, and prompt."""
    digest = hashlib.sha256(content)
    digest.update(f'{sizes} {prompt}'.encode())
    return digest.hexdigest()[:32]


class FeatureCache:
    """Features by ``picture_key``, as float16, one safetensors file per picture.

    Args:
        folder: folder of the cache; the files lie in a folder within it that is named after ``fingerprint``.
        fingerprint: fingerprint of the frozen weights and the network's configuration.
    """

    def __init__(self, folder: Path | str, fingerprint: str):
        self.folder = Path(folder) / fingerprint[:16]

    def __contains__(self, key: str) -> bool:
        return self._file(key).is_file()

    def _file(self, key: str) -> Path:
        return self.folder / f'{key}.safetensors'

    def read(self, key: str) -> dict[str, Tensor]:
        """Read the features of one picture by name, float16, without a batch dimension.

        Raises:
            TableError: for a file that cannot be read.
        """
        try:
            return load_file(self._file(key))
        except (SafetensorError, OSError) as error:
            raise TableError(f'{self._file(key)}: cached features cannot be read ({error}); remove the file.') from None

    def write(self, key: str, features: Features) -> None:
        """Write the features of one picture; the file is written completely or not at all.

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
        """Remove the features of one picture from the cache, if they are there."""
        self._file(key).unlink(missing_ok=True)

    def look_up(self, keys: Sequence[str], compute: Callable[[list[int]], Features]) -> Features:
        """Return the features of a batch; ``compute`` is called with the places in it that the cache lacks."""
        missing = [place for place, key in enumerate(keys) if key not in self]
        if missing:
            with torch.no_grad():
                features = compute(missing)
            for row, place in enumerate(missing):
                self.write(keys[place], Features(*(None if part is None else part[row] for part in features)))
        return as_features(default_collate([self.read(key) for key in keys]))


def as_features(stored: Mapping[str, Tensor]) -> Features:
    """Convert a batch of stored features to what the network takes, in float32."""
    return Features(**{name: stored[name].float() if name in stored else None for name in Features._fields})
