"""A run's progress, shown in a progress bar, a log file and TensorBoard."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pyiqa.utils import get_root_logger, init_wandb_logger
from tqdm import tqdm

from ..options import OptionError
from .run_folder import FIGURES, LOG, write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from ..models.training_model import TrainingModel

LOGGER = logging.getLogger('pyiqa')


class Progress:
    """Shows and logs the steps of one run; does nothing on processes other than the first.

    Args:
        opt: the run's options.
        start: the iteration from which the run continues; 0 for a new run.
        total: the last iteration.
        first: whether this is the first process.
    """

    def __init__(self, opt: dict, start: int, total: int, first: bool):
        self.opt, self.first = opt, first
        self.best = ''
        self.every = opt['logger'].get('print_freq', 20)
        self.bar = tqdm(total=total, initial=start, desc=opt['name'], unit='it', disable=not first, dynamic_ncols=True)
        self.tb_logger = self._tensorboard(start) if first and opt['logger'].get('use_tb_logger') else None

    def _tensorboard(self, start: int) -> 'SummaryWriter':
        from torch.utils.tensorboard import SummaryWriter

        if self.opt['logger'].get('wandb', {}).get('project'):
            try:
                init_wandb_logger(self.opt)  # before TensorBoard, whose files it copies
            except ImportError:
                raise OptionError('logger option wandb needs the package of that name: pip install wandb.') from None
        folder = Path(self.opt['path']['experiments_root']) / 'tensorboard'
        return SummaryWriter(str(folder), purge_step=start + 1)

    def step(self, model: 'TrainingModel', epoch: int, iteration: int) -> None:
        """Count one more iteration; log losses and rate every ``print_freq`` iterations."""
        if not self.first:
            return
        self.bar.update()
        if iteration % self.every:
            return
        rate = model.get_current_learning_rate()[0]
        losses = ' '.join(f'{name} {value:.4f}' for name, value in model.log_dict.items())
        total = sum(model.log_dict.values())
        self.bar.set_postfix_str(f'epoch {epoch + 1}, loss {total:.4f}, rate {rate:.1e}{self.best}', refresh=False)
        LOGGER.info(f'epoch {epoch + 1}, iteration {iteration}: {losses}, rate {rate:.3e}')
        if self.tb_logger:
            for name, value in model.log_dict.items():
                self.tb_logger.add_scalar(f'losses/{name}', value, iteration)
            self.tb_logger.add_scalar('rate', rate, iteration)

    def validated(self, model: 'TrainingModel') -> None:
        """Show the best figure so far in the progress bar."""
        if self.first:
            results = model.best_metric_results[self.opt['datasets']['val']['name']]
            name = self.opt['val'].get('key_metric') or next(iter(results))
            self.best = f', best {name} {results[name]["val"]:.4f}'

    def close(self) -> None:
        self.bar.close()
        if self.tb_logger:
            with suppress(OSError):  # on a full disk, do not hide the error that ended the run
                self.tb_logger.close()


def log_to(folder: Path) -> None:
    """Send pyiqa's log to ``folder/train.log``, and only its warnings to the screen."""
    get_root_logger()  # the first call adds pyiqa's own handler: make it before the handlers are removed
    for handler in list(LOGGER.handlers):
        LOGGER.removeHandler(handler)
        handler.close()
    folder.mkdir(parents=True, exist_ok=True)
    file, screen = logging.FileHandler(folder / LOG), logging.StreamHandler()
    file.setFormatter(logging.Formatter('%(asctime)s %(levelname)s %(message)s'))
    screen.setLevel(logging.WARNING)
    # on a full disk, drop log lines: writing a needed file raises an error anyway
    file.handleError = lambda record: None  # type: ignore[method-assign]  # of this handler alone
    for handler in (file, screen):
        LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def note_figures(folder: Path, data_set: str, iteration: int, figures: dict[str, float]) -> None:
    """Add a validation's figures to ``folder/validation.csv``; replace older ones of the same iteration and data set."""
    path = folder / FIGURES
    row = pd.DataFrame([{'iteration': iteration, 'data': data_set, **figures}])
    if path.is_file():
        row = pd.concat([pd.read_csv(path), row]).drop_duplicates(['iteration', 'data'], keep='last')
    write_text(path, row.to_csv(index=False))
