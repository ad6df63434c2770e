"""Write a run's small text files completely or not at all."""

from pathlib import Path

from ..checkpoints.file import CheckpointError
from ..whole_file import whole_file


def write_text(path: Path, text: str) -> None:
    """Write a file; an older file of that name stays whole until the new one is complete.

    Raises:
        CheckpointError: where there is no room or no permission.
    """
    try:
        with whole_file(path) as part:
            part.write_text(text, encoding='utf-8')
    except OSError as error:
        raise CheckpointError(
            f'{path}: not written ({error.strerror}); make room there, then the same command goes on from the last state.'
        ) from None
