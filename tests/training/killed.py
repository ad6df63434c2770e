"""A run in a process of its own that is killed at one place: as a step begins, or in the middle of writing a file."""

import os
import signal
from pathlib import Path


def train(options: dict, folder: str, dies_at: tuple[str, int] | None = None) -> None:
    """``dies_at``: 'step' or a file's name, and the how manyth of them in this process."""
    import torch

    torch.set_num_threads(1)
    from pyiqa_moeagiqa.models.training_model import TrainingModel
    from pyiqa_moeagiqa.training.run import run

    step, replace, seen = TrainingModel.optimize_parameters, Path.replace, []

    def dies(what: str) -> bool:
        seen.append(what)
        return dies_at == (what, seen.count(what))

    def deadly_step(model, iteration):
        if dies('step'):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(model, iteration)

    def deadly_replace(part, path):
        if dies(path.name):
            os.truncate(part, part.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(part, path)

    TrainingModel.optimize_parameters, Path.replace = deadly_step, deadly_replace
    run(options, Path(folder))
