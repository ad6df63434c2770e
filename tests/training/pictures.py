"""A tiny data set whose MOS is brightness, and options that train a tiny network on it."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

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
        'targets': ['quality', 'alignment'], 'crop_size': 64, 'view_size': 64, 'crops': 2, 'num_worker_per_gpu': 0,
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
