"""A tiny data set whose MOS is brightness, and options that train a tiny network on it."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.data import default_collate

ROWS = {'train': 12, 'val': 7, 'test': 5}


def make_table(folder: Path) -> Path:
    """Small pictures with prompts, two MOS, their deviations and two split columns."""
    generator, rows = np.random.default_rng(0), []
    for split, count in ROWS.items():
        for index in range(count):
            level, name = (index + 0.5) / count, f'{split}{index}.png'
            pixels = (255 * level * generator.uniform(0.8, 1, (70, 70, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name)
            rows.append([name, f'a picture {index}', 5 * level, 5 - 5 * level, 0.5 + level, 1, split, split])
    columns = ['path', 'prompt', 'quality', 'alignment', 'quality_std', 'alignment_std', 'split', 'prompt_1']
    pd.DataFrame(rows, columns=columns).to_csv(folder / 'table.csv', index=False)
    return folder / 'table.csv'


def options(table: Path, checkpoint: Path) -> dict:
    """All that a run can have: mirrored random crops, dropout, accumulation, EMA, warm-up, several losses."""
    data = {
        'type': 'PromptNRDataset', 'meta_info_file': str(table), 'mos_range': [0, 5],
        'crops': 2, 'num_worker_per_gpu': 0,
    }  # fmt: skip
    return {
        'name': 'bright',
        'model_type': 'MoEAGIQAModel',
        'num_gpu': 0,
        'manual_seed': 1,
        'datasets': {
            'train': data | {'name': 'bright', 'batch_size_per_gpu': 4, 'hflip': True},
            'val': data | {'name': 'bright_val', 'batch_size_per_gpu': 3},
        },
        'test': {'bright_test': {'split': 'test'}},
        'network': {'type': 'MoEAGIQA', 'weights': {'checkpoint': str(checkpoint)}, 'dropout': 0.2},
        'path': {'resume_state': None},
        'train': {
            'optim': {'type': 'AdamW', 'lr': 1.0e-3, 'weight_decay': 1.0e-2},
            'scheduler': {'type': 'CosineAnnealingLR'},
            'warmup': 4,
            'total_epoch': 12,
            'accumulate': 2,
            'ema_decay': 0.9,
            'clip_grad_norm': 1.0,
            'mos_loss_opt': {'type': 'L1Loss'},
            'metric_loss_opt': {'type': 'PLCCLoss', 'loss_weight': 0.1},
            'ranking_weight': 0.1,
            'matching_weight': 0.05,
        },
        'val': {
            'val_freq': 5,
            'key_metric': 'srcc',
            'metrics': {'srcc': {'type': 'calculate_srcc'}, 'plcc': {'type': 'calculate_plcc'}},
        },
        'logger': {'print_freq': 1, 'save_latest_freq': 3, 'use_tb_logger': False},
    }  # fmt: skip


def short(options: dict, **train) -> dict:
    """Four epochs instead of twelve, and other changes of the section train; None takes an option away."""
    changed = {'total_epoch': 4} | train
    kept = {name: value for name, value in options['train'].items() if name not in changed}
    return options | {'train': kept | {name: value for name, value in changed.items() if value is not None}}


def plain(options: dict, **train) -> dict:
    """One epoch of L1 alone, at a constant rate, with nothing random in a step."""
    off = dict.fromkeys(('warmup', 'accumulate', 'ema_decay', 'clip_grad_norm', 'metric_loss_opt'))
    off |= {'ranking_weight': 0, 'matching_weight': 0, 'total_epoch': None, 'total_iter': 100}
    scheduler = {'type': 'ConstantLR', 'factor': 1.0}
    network = options['network'] | {'dropout': 0.0}
    return short(options | {'network': network}, **off | {'scheduler': scheduler} | train)


def set_option(options: dict, path: str, value) -> None:
    """Set the option that ``path`` names, as in train.optim.lr; None takes it away."""
    *sections, name = path.split('.')
    for section in sections:
        options = options[section]
    options.pop(name) if value is None else options.update({name: value})


def build(options: dict, folder: Path):
    """The model as ``run`` builds it, and its training data."""
    from pyiqa.data import build_dataset
    from pyiqa.models import build_model

    from pyiqa_moeagiqa.models.fill_in import fill_in
    from pyiqa_moeagiqa.training.option_file import as_the_trainer_parses

    opt = fill_in(as_the_trainer_parses(options, folder))
    opt['train'].setdefault('total_iter', 100)
    torch.manual_seed(0)
    data = build_dataset(opt['datasets']['train'])
    data.set_epoch(0, 0)
    return build_model(opt), data


def batch(data, rows) -> dict:
    return default_collate([data[row] for row in rows])


def same_weights(one: Path, other: Path, atol: float = 0) -> bool:
    """Whether two files hold the same tensors, by default to the bit."""
    from safetensors.torch import load_file

    ours, theirs = load_file(one), load_file(other)
    close = [torch.allclose(ours[name], theirs[name], atol=atol, rtol=0) for name in ours if name in theirs]
    return len(close) == len(ours) == len(theirs) > 0 and all(close)
