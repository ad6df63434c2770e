"""The state from which an interrupted run continues exactly, in one file that is written completely or not at all."""

import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoints.file import CheckpointError, require_file
from ..options import quoted
from ..whole_file import whole_file


def write_state(state: Mapping[str, Any], path: Path | str) -> None:
    """Write a training state; an older file of that name stays whole until the new one is complete.

    Raises:
        CheckpointError: where there is no room or no permission.
    """
    path = Path(path)
    try:
        with whole_file(path) as part, part.open('wb') as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        raise CheckpointError(
            f'{path}: not written ({quoted(error)}); make room there, then the same command goes on from the last state.'
        ) from None


class StateWriter:
    """Writes training states in a thread, one after another, while training goes on.

    A state is copied to the processor's memory first, so that what is written is of one moment.
    """

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1)
        self.begun: Future[None] | None = None

    def write(self, state: Mapping[str, Any], path: Path | str) -> None:
        """Begin to write a state once the one before it is written.

        Raises:
            CheckpointError: if the state before it could not be written.
        """
        self.finish()
        self.begun = self.thread.submit(write_state, _copied(state), path)

    def finish(self) -> None:
        """Wait for the state that is being written.

        Raises:
            CheckpointError: if it could not be written.
        """
        begun, self.begun = self.begun, None
        if begun is not None:
            begun.result()


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to('cpu', copy=True)
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copied(part) for part in value)
    return deepcopy(value)


def read_state(path: Path | str) -> dict[str, Any]:
    """Read a training state; no code in the file can run.

    Raises:
        CheckpointError: for a file that is missing or holds no training state.
    """
    path = Path(path)
    require_file(path)
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises many kinds of errors for a damaged file
        raise CheckpointError(
            f'{path}: it cannot be read as a training state ({quoted(error)}); remove it to start over.'
        ) from None
    if not isinstance(state, dict):
        raise CheckpointError(
            f'{path}: it holds a {type(state).__name__} instead of a training state; remove it to start over.'
        )
    return state
