"""Self-describing checkpoints: save, load, find, convert; and the embedded default."""

from .convert import convert_released
from .export import export
from .file import Checkpoint, CheckpointError, read, read_header, save
from .find import find, install
from .network import load_network

__all__ = [
    'Checkpoint',
    'CheckpointError',
    'convert_released',
    'export',
    'find',
    'install',
    'load_network',
    'read',
    'read_header',
    'save',
]
