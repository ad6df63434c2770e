"""A trained baseline for the leaderboard, by pyiqa's own means: python -m recipes.cnniqa --table agiqa3k.csv --output DIR

CNNIQA (Kang et al., CVPR 2014), pyiqa's network, data set, model and trainer, with the settings of pyiqa's
``options/train/CNNIQA/train_CNNIQA.yml`` but for the crop, which some of AGIQA-3K's 256-pixel images would not fill.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
import yaml
from pyiqa.train import train_pipeline

CROP = 224
ROWS = 'split'  # pyiqa takes a column for a split when this is in its name


def main(
    table: Annotated[Path, typer.Option(help='What "moeagiqa prepare" wrote.')],
    output: Annotated[Path, typer.Option(help='Where options and the run are put.')],
    split_column: Annotated[str, typer.Option(help='Trained on its train rows, the best chosen on its val rows.')] = (
        'prompt_0'
    ),
    target: Annotated[str, typer.Option(help='The MOS column, from 0 to 5.')] = 'quality',
    epochs: Annotated[int, typer.Option(min=1)] = 50,
) -> None:
    """Train; prints the checkpoint, which ``moeagiqa leaderboard --metrics cnniqa:FILE`` takes."""
    output.mkdir(parents=True, exist_ok=True)
    rows = pd.read_csv(table, keep_default_na=False)
    images = [str((table.parent / path).resolve()) for path in rows['path']]
    meta = pd.DataFrame({'path': images, 'mos': rows[target], f'{ROWS}_{split_column}': rows[split_column]})
    meta.to_csv(output / 'meta_info.csv', index=False)
    file = output / 'cnniqa.yml'
    file.write_text(yaml.safe_dump(options(output / 'meta_info.csv', f'{ROWS}_{split_column}', epochs)))
    sys.argv = ['train', '-opt', str(file)]  # pyiqa's trainer takes its options from there
    train_pipeline(str(output.resolve()))
    typer.echo(output / 'experiments' / 'cnniqa' / 'models' / 'net_best.pth')


def options(meta: Path, split: str, epochs: int) -> dict[str, Any]:
    """pyiqa's option file for CNNIQA."""
    shared = {
        'name': 'agiqa3k',
        'type': 'GeneralNRDataset',
        'dataroot_target': '/',  # the paths are absolute
        'meta_info_file': str(meta.resolve()),
        'split_index': split,
        'mos_range': [0, 5],
        'lower_better': False,
        'mos_normalize': True,
        'num_worker_per_gpu': 1,
    }
    train = {'augment': {'hflip': True, 'random_crop': CROP}, 'batch_size_per_gpu': 64, 'use_shuffle': True}
    return {
        'name': 'cnniqa',
        'model_type': 'GeneralIQAModel',
        'num_gpu': 0,
        'manual_seed': 123,
        'datasets': {
            'train': shared | train | {'dataset_enlarge_ratio': 1, 'prefetch_mode': None},
            'val': shared | {'augment': {'center_crop': CROP}, 'batch_size_per_gpu': 8},
        },
        'network': {'type': 'CNNIQA', 'pretrained': None},
        'path': {'resume_state': None},
        'train': {
            'optim': {'type': 'AdamW', 'lr': 1.0e-3},
            'scheduler': {'type': 'MultiStepLR', 'milestones': [10, 20, 30, 40], 'gamma': 0.5},
            'total_epoch': epochs,
            'warmup_iter': -1,
            'mos_loss_opt': {'type': 'MSELoss', 'loss_weight': 1.0},
        },
        'val': {
            'val_freq': 100,
            'save_img': False,
            'pbar': False,
            'key_metric': 'srcc',
            'metrics': {name: {'type': f'calculate_{name}'} for name in ('srcc', 'plcc')},
        },
        'logger': {'print_freq': 20, 'save_checkpoint_freq': 5.0e9, 'save_latest_freq': 500, 'use_tb_logger': False},
        'dist_params': {'backend': 'gloo'},
    }


if __name__ == '__main__':
    typer.run(main)
