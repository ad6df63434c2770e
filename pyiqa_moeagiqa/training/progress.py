"""How far a run is: a line that moves, a log that stays, TensorBoard."""

import logging
from contextlib import suppress
from pathlib import Path

import pandas as pd
from pyiqa.utils import get_root_logger
from tqdm import tqdm

from .text_file import write_text

LOGGER = logging.getLogger('pyiqa')


class Progress:
    """Shows and logs the steps of one run; on other processes than the first it does nothing.

    Args:
        opt: the run's options.
        start: the iteration that it goes on from.
        total: the last iteration.
        first: whether this is the first process.
    """

    def __init__(self, opt: dict, start: int, total: int, first: bool):
        self.opt, self.first = opt, first
        self.best = ''
        self.every = opt['logger'].get('print_freq', 20)
        self.bar = tqdm(total=total, initial=start, desc=opt['name'], unit='it', disable=not first, dynamic_ncols=True)
        self.tb_logger = self._tensorboard(start) if first and opt['logger'].get('use_tb_logger') else None

    def _tensorboard(self, start: int):
        from torch.utils.tensorboard import SummaryWriter

        folder = Path(self.opt['path']['experiments_root']) / 'tensorboard'
        return SummaryWriter(str(folder), purge_step=start + 1)

    def step(self, model, epoch: int, iteration: int) -> None:
        """One more iteration is done."""
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

    def validated(self, model) -> None:
        """Let the line show the best figure so far."""
        if self.first:
            results = model.best_metric_results[self.opt['datasets']['val']['name']]
            name = self.opt['val'].get('key_metric') or next(iter(results))
            self.best = f', best {name} {results[name]["val"]:.4f}'

    def close(self) -> None:
        self.bar.close()
        if self.tb_logger:
            with suppress(OSError):  # a full disk: what stops the run has been said already
                self.tb_logger.close()


def log_to(folder: Path) -> None:
    """Let pyiqa's log go to ``folder/train.log``, and only warnings to the screen."""
    get_root_logger()  # pyiqa adds a handler of its own the first time it is asked
    for handler in list(LOGGER.handlers):
        LOGGER.removeHandler(handler)
        handler.close()
    folder.mkdir(parents=True, exist_ok=True)
    file, screen = logging.FileHandler(folder / 'train.log'), logging.StreamHandler()
    file.setFormatter(logging.Formatter('%(asctime)s %(levelname)s %(message)s'))
    screen.setLevel(logging.WARNING)
    file.handleError = lambda record: None  # a full disk is told by whoever cannot do without
    for handler in (file, screen):
        LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def note_figures(folder: Path, data_set: str, iteration: int, figures: dict[str, float]) -> None:
    """Add a validation's figures to ``folder/validation.csv``; a measurement that is made again replaces the older."""
    path = folder / 'validation.csv'
    row = pd.DataFrame([{'iteration': iteration, 'data': data_set, **figures}])
    if path.is_file():
        row = pd.concat([pd.read_csv(path), row]).drop_duplicates(['iteration', 'data'], keep='last')
    write_text(path, row.to_csv(index=False))
