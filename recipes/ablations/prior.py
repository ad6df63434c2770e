"""The compact prior of the ablations: it learns synthetic degradations of pictures that no row is tested on."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pyiqa_moeagiqa.training.option_file import read_options
from pyiqa_moeagiqa.training.run import run
from scripts.write_options import FOLDER

COLUMN = 'prior'
EPOCHS = 8


def common_split(table: pd.DataFrame, splits: Sequence[str]) -> pd.Series:
    """'train' where all splits train, 'test' where any tests, else 'val'."""
    parts = table[list(splits)]
    part = pd.Series('val', index=table.index)
    part[(parts == 'train').all(axis=1)] = 'train'
    part[(parts == 'test').any(axis=1)] = 'test'
    return part


def train_prior(table: Path, work: Path, splits: Sequence[str]) -> Path:
    """The file of the prior, by options/compact_prior.yml; what is there already is not trained again."""
    pictures = pd.read_csv(table, keep_default_na=False)
    own = work / 'prior.csv'
    folder = pictures['path'].map(lambda path: str((table.parent / path).resolve()))
    pictures.assign(path=folder, **{COLUMN: common_split(pictures, splits)}).to_csv(own, index=False)
    changes = [f'datasets.{phase}.meta_info_file={own}' for phase in ('train', 'val')]
    changes += [f'datasets.{phase}.split_column={COLUMN}' for phase in ('train', 'val')]
    changes += [f'train.total_epoch={EPOCHS}', 'val.val_freq=204', 'logger.save_latest_freq=51', 'test=null']
    run(read_options(FOLDER / 'compact_prior.yml', changes), work / 'prior')
    return work / 'prior' / 'models' / 'net_best.safetensors'
