"""Hashes a file's content."""

import hashlib
from pathlib import Path

BLOCK = 1 << 20  # bytes


def file_hash(path: Path | str) -> str:
    """SHA-256 of a file, in hexadecimal. Its bytes are read in blocks, so it can be of any size.

    Raises:
        OSError: for a file that cannot be read.
    """
    digest = hashlib.sha256()
    with Path(path).open('rb') as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
