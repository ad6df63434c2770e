"""The folder of one run: its files, and when a run in it goes on, is finished, or is in the way of another."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
import yaml

from ..checkpoints.file import CheckpointError
from ..checkpoints.partial import NAMED
from ..models.state_file import read_state
from ..options import OptionError
from ..spreadsheet import as_csv
from ..whole_file import whole_file

OPTIONS, RESULT, STATE = 'run_options.yml', 'result.json', 'training_states/latest.pt'
LOG, FIGURES, BEST = 'train.log', 'validation.csv', 'models/net_best.safetensors'
PREDICTIONS, SPLITS = 'predictions.csv', 'splits.csv'
RESULTS = 'results.csv'  # of one run or several, beside or above them
LOCK = '.lock'
UNFINISHED = (
    'models/*.part*', 'training_states/*.part*',
    *(f'{name}.part*' for name in (OPTIONS, RESULT, FIGURES, PREDICTIONS, SPLITS, RESULTS)),
)  # fmt: skip
OURS = (
    'models/net_*.safetensors', 'training_states/*.state', STATE, 'tensorboard/events.*', OPTIONS, RESULT, LOG, FIGURES,
    PREDICTIONS, SPLITS, 'scatter-*.png', *UNFINISHED,
)  # fmt: skip
FOLDERS, OPTION_FILES = ('models', 'training_states', 'tensorboard'), ('.yml', '.yaml')


class RunFolder:
    """The folder of one run.

    Args:
        path: the folder; it need not exist yet.

    Raises:
        OptionError: if the folder or a file that the run writes is something else, such as a pipe, which would block for ever.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise OptionError(f'{self.path}: a file, not a folder; name another --output.')
        for file in (self.path / name for name in (OPTIONS, RESULT, STATE, LOG, FIGURES, PREDICTIONS, SPLITS)):
            if file.exists() and not file.is_file():
                raise OptionError(f'{file}: a folder, a pipe or a device in the place of a file; remove it.')

    @property
    def goes_on(self) -> bool:
        """Whether an earlier run has left a state to go on from."""
        return (self.path / STATE).is_file()

    @property
    def was_cut(self) -> bool:
        """Whether a run has begun here and not ended."""
        return (self.path / OPTIONS).is_file() and not (self.path / RESULT).is_file()

    def _require_same(self, options: Mapping[str, Any]) -> None:
        """Raise an OptionError if the folder holds a run with other options; ignore a run that has not saved a state yet.

        Test sets and published figures can differ while the state is there: the network does not depend on them.
        """
        before = self._options()
        if self.goes_on:
            same = _that_train(before) == _that_train(options)
        else:
            same = before == options or not any((self.path / name).is_file() for name in (RESULT, BEST))
        if not same:
            raise OptionError(
                f'{self.path}: it holds a run with other options (see {OPTIONS} there): name another --output, or add --fresh '
                'to start over.'
            )

    def _options(self) -> dict[str, Any]:
        """The options that an earlier run left; empty where they cannot be read."""
        try:
            return dict(yaml.safe_load((self.path / OPTIONS).read_text(encoding='utf-8')))
        except (OSError, ValueError, TypeError, yaml.YAMLError):
            return {}

    def require_no_others(self) -> None:
        """Raise an OptionError for a folder with files of somebody else: where no run has been, those of a run's names, too.

        An option file can lie there, and hidden files. Where a run has been, in the folder or in a folder in it, others can have been added.
        """
        if any(self.path.glob(OPTIONS)) or any(self.path.glob(f'*/{OPTIONS}')):
            return
        for file in sorted(self.path.glob('[!.]*')):
            is_ours = file.name in FOLDERS or file.suffix in OPTION_FILES or any(map(file.match, OURS))
            if not is_ours and (file.is_file() or any(there.is_file() for there in file.rglob('*'))):
                raise OptionError(
                    f'{file}: the folder holds this, which is not of a run; name another --output, such as a new folder.'
                )
        for pattern in OURS:
            for file in self.path.glob(pattern) if pattern not in UNFINISHED else ():
                raise OptionError(
                    f'{file}: a run would replace this file, which is not of a run; name another --output.'
                )

    def require_no_weights(self, network: Mapping[str, Any]) -> None:
        """Raise an OptionError if the run starts from weights in its own folder, which it could overwrite."""
        weights = network.get('weights', {})
        for source in map(str, weights.values() if isinstance(weights, Mapping) else [weights]):
            is_file = source not in NAMED and '://' not in source
            if is_file and self.path.resolve() in Path(source).expanduser().resolve().parents:
                raise OptionError(f'{source}: the run starts from a file in its own folder; name another --output.')

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs out of the folder.

        Raises:
            OptionError: if another run holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.path / LOCK, timeout=0, thread_local=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise OptionError(
                f'{self.path}: another run is going on in it; wait for its end, or name another --output.'
            ) from None
        try:
            yield
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

    def open(self, options: Mapping[str, Any], fresh: bool) -> None:
        """Prepare the folder: remove an earlier run's files, or only its unfinished and last files if that run goes on."""
        for pattern in (*UNFINISHED, RESULT) if self.goes_on and not fresh else OURS:
            for file in self.path.glob(pattern):
                file.unlink()
        for name in ('models', 'training_states'):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        write_text(self.path / OPTIONS, yaml.safe_dump(dict(options), sort_keys=False))

    def save_splits(self, images: pd.DataFrame) -> None:
        """Write which images are in which data set of the run, so that another can use the same."""
        write_text(self.path / SPLITS, as_csv(images))

    def state(self) -> dict[str, Any]:
        """The state to go on from; raises a CheckpointError if it cannot be read."""
        return read_state(self.path / STATE)

    def result(self, options: Mapping[str, Any]) -> dict[str, Any] | None:
        """The figures of a finished run; None if the run is not finished, or was measured on other test sets than these options have.

        Raises:
            OptionError: for a damaged file, and for a run with other options.
        """
        self._require_same(options)
        file = self.path / RESULT
        if not file.is_file() or self._options().get('test', {}) != options.get('test', {}):
            return None
        try:
            return dict(json.loads(file.read_text(encoding='utf-8')))
        except (ValueError, TypeError):
            raise OptionError(
                f'{file}: damaged; remove it, then the same command measures the best network again.'
            ) from None

    def save_result(self, figures: Mapping[str, Any], predictions: pd.DataFrame) -> None:
        """Write every image's scores, then the figures that ``result`` reads."""
        write_text(self.path / PREDICTIONS, as_csv(predictions))
        write_text(self.path / RESULT, json.dumps(figures, indent=1))


def _that_train(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options on which the network depends."""
    return {name: value for name, value in options.items() if name not in ('test', 'published')}


def write_text(path: Path, text: str) -> None:
    """Write a small file of a run; an older file of that name stays whole until the new one is complete.

    Raises:
        CheckpointError: if the disk is full or the folder cannot be written.
    """
    try:
        with whole_file(path) as part:
            part.write_text(text, encoding='utf-8')
    except OSError as error:
        raise CheckpointError(
            f'{path}: not written ({error.strerror}); make room there, then the same command goes on from the last state.'
        ) from None
