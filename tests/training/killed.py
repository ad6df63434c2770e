"""A run in a process of its own, which says when its first step begins, and may die while it writes its state."""

import os
import signal
from pathlib import Path


def train(options: dict, folder: str, begun, dies_at_state: int = 0) -> None:
    """``dies_at_state``: the number of the state in the middle of whose writing the process is killed; 0 for none."""
    import torch

    torch.set_num_threads(1)
    from pyiqa_moeagiqa.models import state_file
    from pyiqa_moeagiqa.models.training_model import TrainingModel
    from pyiqa_moeagiqa.training.run import run

    step, save, saved = TrainingModel.optimize_parameters, torch.save, []

    def first_step(model, iteration):
        begun.set()
        return step(model, iteration)

    def half_a_state(state, file):
        saved.append(1)
        if len(saved) == dies_at_state:
            file.write(b'half a state')
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        save(state, file)

    TrainingModel.optimize_parameters, state_file.torch.save = first_step, half_a_state
    run(options, Path(folder))
