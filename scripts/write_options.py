"""Writes every file under ``options/`` from the tables below: python scripts/write_options.py

pyiqa's parser knows no inheritance, so each file is whole; here stands only what differs from the base. A test compares
the files with what this script makes.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pyiqa_moeagiqa.data.options import table_names

FOLDER = Path(__file__).parent.parent / 'options'


class DataSet(NamedTuple):
    """The MOS range, and the name that the paper has."""

    mos_range: tuple[int, int]
    title: str


DATA = {
    'agiqa1k': DataSet((0, 5), 'AGIQA-1K'),
    'agiqa3k': DataSet((0, 5), 'AGIQA-3K'),
    'aigciqa2023': DataSet((0, 100), 'AIGCIQA2023'),
    'aigiqa20k': DataSet((0, 5), 'AIGIQA-20K'),
    'koniq10k': DataSet((0, 100), 'KonIQ-10k'),
}

METRICS = {name: {'type': f'calculate_{name}'} for name in ('srcc', 'plcc', 'main_score')}
ENCODERS = {'visual': 'timm', 'semantic': 'imagereward'}
PRIOR = 'experiments/prior_koniq10k/models/net_best.safetensors'

PAPER = "The paper's settings: AdamW, and a cosine schedule over the whole run. The best epoch is chosen on a validation split."
RELEASED = (
    "The released code's settings: Adam, a learning rate that falls and rises in turn, each for 50 iterations, dropout in frozen\n"
    'layers, and w1 and w2 that start at 0. The best epoch is chosen on the test split itself, so the figures are optimistic.'
)
BY_IMAGE = (
    'Images are split at random, as for the published figures, so a prompt can have images in several splits.\n'
    'To split by prompt, add --splits prompt_0.'
)


def _published(network: str, protocol: str) -> dict[str, tuple[float, float]]:
    """Data set -> (SRCC, PLCC) of one network's quality, as published by one protocol."""
    text = (FOLDER.parent / 'pyiqa_moeagiqa' / 'leaderboard' / 'published.yml').read_text(encoding='utf-8')
    return {
        data: (row['srcc'], row['plcc'])
        for data, targets in yaml.safe_load(text).items()
        for row in targets['quality']
        if (row['metric'], row['protocol']) == (network, protocol)
    }


# (SRCC, PLCC) as published, by splits over images.
PUBLISHED = {
    (version, data): figures
    for version in ('v1', 'v2')
    for data, figures in _published(f'MoE-AGIQA-{version}', 'trained, 80/20 by image').items()
}
CROSS = {
    (trained, data): figures
    for trained in ('agiqa1k', 'agiqa3k', 'aigciqa2023')
    for data, figures in _published('MoE-AGIQA-v2', f'trained on {DATA[trained].title}').items()
}
BRANCHES = {
    'visual': ({'branches': 'visual', 'prior': False, 'experts': 1, 'top_k': 1}, (0.8452, 0.8654)),
    'semantic': ({'branches': 'semantic', 'prior': False, 'experts': 1, 'top_k': 1}, (0.8640, 0.8787)),
    'both': ({'prior': False, 'experts': 1, 'top_k': 1}, (0.8671, 0.8808)),
    'both_experts': ({'prior': False}, (0.8729, 0.8860)),
    'both_experts_prior': ({}, (0.8751, 0.8904)),
}
LAYERS = {
    '12': ([12], (0.8677, 0.8853)),
    '1_to_4': ([1, 2, 3, 4], (0.8656, 0.8861)),
    '5_to_8': ([5, 6, 7, 8], (0.8751, 0.8904)),
    '9_to_12': ([9, 10, 11, 12], (0.8661, 0.8853)),
}
FROZEN = {0.1: (0.8685, 0.8879), 0.3: (0.8701, 0.8873), 0.5: (0.8751, 0.8904), 0.7: (0.8694, 0.8865)}
EXPERTS = {
    (2, 1): (0.8703, 0.8880),
    (2, 2): (0.8714, 0.8871),
    (3, 1): (0.8613, 0.8787),
    (3, 2): (0.8628, 0.8797),
    (3, 3): (0.8614, 0.8851),
    (4, 1): (0.8633, 0.8803),
    (4, 2): (0.8668, 0.8858),
    (4, 3): (0.8751, 0.8904),
    (4, 4): (0.8684, 0.8866),
}
SAME_RUN = {  # rows whose network is the paper's own: a main run by another name
    'table5/branches_both_experts.yml': 'v1_aigciqa2023.yml',
    'table5/branches_both_experts_prior.yml': 'v2_aigciqa2023.yml',
    'table7/layers_5_to_8.yml': 'v2_aigciqa2023.yml',
    'table8/frozen_50.yml': 'v2_aigciqa2023.yml',
    'table9/n4_k3.yml': 'v2_aigciqa2023.yml',
}


def data_set(name: str, **changes: Any) -> dict[str, Any]:
    """The part of a data set's section that training, validation and test share."""
    shared: dict[str, Any] = {'type': 'PromptNRDataset', 'meta_info_file': f'./datasets/{name}.csv'}
    if name == 'koniq10k':  # pyiqa describes it, and gives another range
        shared['mos_range'] = list(DATA[name].mos_range)
    shared['split_column'] = 'image_0'
    return shared | changes


def full_size(name: str, data: str, version: str = 'v2') -> dict[str, Any]:
    """The paper's network with the paper's training on one data set."""
    return {
        'name': name,
        'model_type': 'MoEAGIQAModel',
        'num_gpu': 'auto',
        'manual_seed': 123,
        'datasets': {
            'train': data_set(data, use_shuffle=True, num_worker_per_gpu=4, global_batch_size=16),
            'val': data_set(data, num_worker_per_gpu=4, batch_size_per_gpu=4),
        },
        'test': {f'{data}_test': {'split': 'test'}},
        'network': {
            'type': 'MoEAGIQA',
            'weights': ENCODERS | ({'prior': PRIOR} if version == 'v2' else {}),
            'prior': version == 'v2',
        },
        'path': {'resume_state': None},
        'train': {
            'optim': {'type': 'AdamW', 'lr': 1e-5, 'weight_decay': 1e-5},
            'scheduler': {'type': 'CosineAnnealingLR'},
            'total_epoch': 100,
            'mos_loss_opt': {'type': 'L1Loss'},
        },
        'val': {'val_freq': 'epoch', 'save_img': False, 'key_metric': 'srcc', 'metrics': METRICS},
        'logger': {'print_freq': 20, 'save_latest_freq': 'epoch', 'use_tb_logger': True},
    }


def published(options: dict[str, Any], figures: tuple[float, float] | None, test: str | None = None) -> dict[str, Any]:
    """The options with the published figures beside one test set."""
    if figures is None:
        return options
    test = test or next(iter(options['test']))
    beside = options.get('published', {}) | {test: dict(zip(('srcc', 'plcc'), figures, strict=True))}
    return options | {'published': beside}


def released(options: dict[str, Any]) -> dict[str, Any]:
    """The same with the settings of the released implementation."""
    options = copy.deepcopy(options)
    options['name'] = 'released_' + options['name']
    options['datasets']['train']['split'] = ['train', 'val']
    options['datasets']['val']['split'] = 'test'
    if options['datasets']['train']['meta_info_file'].endswith('agiqa1k.csv'):  # it comes with the released splits
        for data in options['datasets'].values():
            data['split_column'] = 'released_0'
    options['manual_seed'] = 20
    options['val'] = options['val'] | {'key_metric': 'main_score'}  # in the release SRCC + PLCC
    train = options['train']
    train['optim']['type'] = 'Adam'
    train['scheduler']['T_max'] = 50
    if options['model_type'] == 'MoEAGIQAPriorModel':
        for data in options[
            'datasets'
        ].values():  # three crops in training and fifteen in testing, a split by chance, no flip
            del data['crops']
            data['split_column'] = 'image_0'
        del options['datasets']['train']['hflip']
    if options['model_type'] == 'MoEAGIQAModel':
        train['frozen_dropout'] = True
        if options['network']['prior']:
            train['inject_from_zero'] = True
    return options


def ablation(name: str, changes: dict[str, Any], figures: tuple[float, float]) -> dict[str, Any]:
    """v2 on AIGCIQA2023, as the paper's ablations, with another network."""
    options = full_size(name, 'aigciqa2023')
    network = options['network'] = options['network'] | changes
    network['weights'] = {part: source for part, source in network['weights'].items() if part in needed(network)}
    return published(options, figures)


def needed(network: dict[str, Any]) -> set[str]:
    """The encoders that a network has."""
    parts = {'visual': {'visual'}, 'semantic': {'semantic'}}.get(network.get('branches'), {'visual', 'semantic'})
    return parts | ({'prior'} if network['prior'] else set())


def prior() -> dict[str, Any]:
    """Pre-training of the natural degradation prior."""
    options = full_size('prior_koniq10k', 'koniq10k')
    options |= {'model_type': 'MoEAGIQAPriorModel', 'network': {'type': 'MoEAGIQAPrior', 'weights': 'timm'}}
    train, val = options['datasets']['train'], options['datasets']['val']
    for data in (train, val):
        data |= {'split_column': 'official', 'crops': 1}
    train['hflip'] = True
    val['batch_size_per_gpu'] = 16
    options['train']['total_epoch'] = 200
    return options


def compact_prior() -> dict[str, Any]:
    """The compact prior learns kind and strength of synthetic degradations of the training prompts' images."""
    options = full_size('compact_prior', 'agiqa3k')
    train, val = options['datasets']['train'], options['datasets']['val']
    for data in (train, val):
        data |= {'split_column': 'prompt_0', 'crops': 1, 'degrade': True}
        data['num_worker_per_gpu'] = 0
    val['batch_size_per_gpu'] = 16
    train['hflip'] = True
    options |= {
        'model_type': 'MoEAGIQAPriorModel',
        'network': {
            'type': 'MoEAGIQAPrior',
            'weights': 'moeagiqa',
            'visual': 'vit_small_patch14_dinov2.lvd142m',
            'crop_size': 252,
            'pixel_mean': [0.485, 0.456, 0.406],
            'pixel_std': [0.229, 0.224, 0.225],
            'kinds': 7,
        },
    }
    options['train'] |= {
        'optim': {'type': 'AdamW', 'lr': 1e-4, 'weight_decay': 5e-2},
        'total_epoch': 10,
        'warmup': 50,
        'amp': True,
    }
    return options


def compact() -> dict[str, Any]:
    """The embedded default's structure, its encoders as published and all else trained afresh, on a processor."""
    options = full_size('compact_agiqa3k', 'agiqa3k', 'v1')
    train, val = options['datasets']['train'], options['datasets']['val']
    train |= {'split_column': 'prompt_0', 'random_crops': False, 'num_worker_per_gpu': 0, 'global_batch_size': 32}
    val |= {'split_column': 'prompt_0', 'num_worker_per_gpu': 0, 'batch_size_per_gpu': 8}
    options['network'] = {
        'type': 'MoEAGIQA',
        'weights': {'visual': 'moeagiqa', 'semantic': 'moeagiqa'},
        'visual': 'vit_small_patch14_dinov2.lvd142m',
        'layers': [4, 6, 8, 10],
        'norm_layers': True,
        'class_tokens': True,
        'token_pool': 6,
        'view_is_crop': True,
        'whole_view': True,
        'crop_scales': [512, 378, 0],
        'crop_weights': [4, 2, 1],
        'linear': True,
        'pixel_mean': [0.485, 0.456, 0.406],
        'pixel_std': [0.229, 0.224, 0.225],
        'semantic': 'bert',
        'semantic_options': {
            'hidden_size': 384,
            'num_hidden_layers': 6,
            'num_attention_heads': 12,
            'intermediate_size': 1536,
        },
        'frozen_share': 1.0,
        'prior': False,
        'channels': 256,
        'hidden': 256,
        'matching': 384,
        'matching_gates': True,
        'dropout': 0.3,
        'targets': ['quality', 'alignment'],
        'crop_size': 252,
        'crops': 3,
    }
    options['train'] |= {
        'optim': {'type': 'AdamW', 'lr': 3e-4, 'weight_decay': 5e-2},
        'total_epoch': 8,
        'metric_loss_opt': {'type': 'PLCCLoss', 'loss_weight': 0.2},
        'matching_weight': 0.05,
        'clip_grad_norm': 1.0,
        'cache_frozen': True,
    }
    return options


class Tower(NamedTuple):
    """A modern network: its ViT with layers, mean and deviation of its pixels, and its text encoder.

    Attributes:
        title: what the comment calls it.
        visual, layers, pixels: options of the network; ``pixels`` are mean and standard deviation.
        semantic: where the image and text tower are; ``prompt_tokens`` is the length of the prompts that it was trained with.
        parameters, trained: in millions.
        petaflop: of an epoch, three times those of the encoders' forward passes, counted on the meta device.
    """

    title: str
    visual: str
    layers: tuple[int, ...]
    pixels: tuple[tuple[float, ...], tuple[float, ...]]
    semantic: str
    prompt_tokens: int
    parameters: int
    trained: int
    petaflop: int


IMAGENET, HALF = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
SIGLIP2 = 'hf://google/siglip2-base-patch16-224'
TOWERS = {
    'siglip2': Tower('SigLIP 2 ViT-B/16', 'vit_base_patch16_siglip_224.v2_webli', (6, 8, 10, 12), HALF, SIGLIP2, 64, 475, 19, 1),
    'clip_l': Tower(
        'CLIP ViT-L/14', 'vit_large_patch14_clip_224.openai', (12, 16, 20, 24), OPENAI,
        'hf://openai/clip-vit-large-patch14', 77, 747, 27, 4,
    ),
    'dinov3': Tower(
        'DINOv3 ViT-B/16 beside SigLIP 2', 'vit_base_patch16_dinov3.lvd1689m', (6, 8, 10, 12), IMAGENET, SIGLIP2, 64,
        475, 19, 1,
    ),
}  # fmt: skip


def modern(name: str) -> dict[str, Any]:
    """A network of modern encoders with LoRA, for quality and alignment; no image of a test prompt is seen in training."""
    tower, options = TOWERS[name], full_size(f'{name}_agiqa3k', 'agiqa3k', 'v1')
    for data in options['datasets'].values():
        data['split_column'] = 'prompt_0'
    options['datasets']['train']['hflip'] = True
    mean, std = tower.pixels
    options['network'] = {
        'type': 'MoEAGIQA',
        'weights': {'visual': 'timm', 'semantic': tower.semantic},
        'visual': tower.visual,
        'layers': list(tower.layers),
        'norm_layers': True,
        'class_tokens': True,
        'linear': True,
        'pixel_mean': list(mean),
        'pixel_std': list(std),
        'semantic': 'clip',
        'matching': 768,  # the width of both CLIPs' embeddings
        'matching_gates': True,
        'prompt_tokens': tower.prompt_tokens,
        'prior': False,
        'dropout': 0.1,
        'lora_rank': 16,
        'lora_towers': ['visual', 'semantic'],
        'targets': ['quality', 'alignment'],
        'crops': 5,
    }
    options['train'] |= {
        'optim': {'type': 'AdamW', 'lr': 1e-4, 'weight_decay': 5e-2},
        'warmup': 100,
        'total_epoch': 20,
        'metric_loss_opt': {'type': 'PLCCLoss', 'loss_weight': 0.2},
        'clip_grad_norm': 1.0,
        'amp': True,
    }
    options['val'] = options['val'] | {'key_metric': 'main_score'}
    return options


def joint() -> dict[str, Any]:
    """v1 on three data sets at once: pairs of images of one set decide, as the sets' scales differ."""
    names = ('agiqa3k', 'aigciqa2023', 'agiqa1k')
    options = full_size('joint', names[0], 'v1')
    for data in options['datasets'].values():
        data['meta_info_file'] = [f'./datasets/{name}.csv' for name in names]
    options['test'] = {'joint_test': {'split': 'test'}}
    options['train'] |= {'mos_loss_opt': {'type': 'L1Loss', 'loss_weight': 0.1}, 'fidelity_weight': 1.0}
    return options


def files() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, comment and options of every file."""
    yield (
        'moeagiqa_prior.yml',
        f"Pre-training of v2's natural degradation prior on KonIQ-10k (eq. 1).\n{PAPER}",
        prior(),
    )
    yield 'released/prior_koniq10k.yml', f'Pre-training of the prior on KonIQ-10k.\n{RELEASED}', released(prior())
    yield (
        'moeagiqa_compact.yml',
        'The compact network on AGIQA-3K, split by prompt. It can be trained without a GPU.',
        compact(),
    )
    about = (
        'A natural degradation prior for the compact network. It learns the kind and strength of synthetic degradations.\n'
        'To train on KonIQ-10k, change datasets.train.meta_info_file=./datasets/koniq10k.csv\n'
        'datasets.train.split_column=official datasets.train.mos_range=[0,100], and the same for datasets.val.'
    )
    yield 'compact_prior.yml', about, compact_prior()
    for data in ('agiqa1k', 'agiqa3k', 'aigciqa2023', 'aigiqa20k'):
        yield from main_results(data)
    for name, tower in TOWERS.items():
        about = (
            f'{tower.title} with LoRA on AGIQA-3K, for quality and alignment, split by prompt. timm and the Hugging Face hub provide\n'
            'the encoders; training needs peft.\n'
            f'By arithmetic, not measured on a GPU: {tower.parameters} M parameters, {tower.parameters * 4 / 1000:.1f} GB in float32, of which '
            f'{tower.trained} M are\ntrained; an epoch of 2,088 images takes about {tower.petaflop} PFLOP, {10 * tower.petaflop} s at 100 TFLOP/s.'
        )
        yield f'{name}_agiqa3k.yml', about, modern(name)
    about = (
        'One MoE-AGIQA v1 for AGIQA-3K, AIGCIQA2023 and AGIQA-1K. The fidelity loss compares only images of one set; a small L1 loss keeps\n'
        "each set's scores on its own scale, from 0 to 1. The best epoch is the one with the highest mean over the sets."
    )
    yield 'joint.yml', f'{about}\n{BY_IMAGE}', joint()
    large = full_size('v2_agiqa3k_384', 'agiqa3k')
    large['network'] |= {'crop_size': 384, 'visual': 'vit_base_patch16_384.augreg_in21k_ft_in1k'}
    about = f'MoE-AGIQA v2 on AGIQA-3K with crops of 384 pixels.\n{PAPER}\n{BY_IMAGE}'
    yield (
        'v2_agiqa3k_384.yml',
        about,
        published(large, _published('MoE-AGIQA-v2, 384 px', 'trained, 80/20 by image')['agiqa3k']),
    )
    yield from cross_data_set()
    for name, (changes, figures) in BRANCHES.items():
        yield row(5, f'branches_{name}', changes, figures)
    for name, (layers, figures) in LAYERS.items():
        yield row(7, f'layers_{name}', {'layers': layers}, figures)
    for share, figures in FROZEN.items():
        yield row(8, f'frozen_{round(100 * share)}', {'frozen_share': share}, figures)
    for (experts, top_k), figures in EXPERTS.items():
        yield row(9, f'n{experts}_k{top_k}', {'experts': experts, 'top_k': top_k}, figures)


def main_results(data: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """v1 and v2 on one data set, by the paper's settings and by the released ones."""
    for version in ('v1', 'v2'):
        name, title = f'{version}_{data}', f'MoE-AGIQA {version} on {DATA[data].title}.'
        options = published(full_size(name, data, version), PUBLISHED.get((version, data)))
        file = 'moeagiqa.yml' if name == 'v2_agiqa3k' else f'{name}.yml'
        note = BY_IMAGE
        if data == 'aigiqa20k':
            note += (
                '\nPublished for v1: a main score (the mean of SRCC and PLCC) of .9087 on the official test part.\nThis file uses the official training part alone; '
                'to measure on the test part, add\ntest.official.split_column=official test.official.split=test'
            )
        rows = [row for row, main in SAME_RUN.items() if main == file]
        once = f' The same run as {", ".join(rows)}. Train only one of them.' if rows else ''
        yield file, f'{title}{once}\n{PAPER}\n{note}', options
        yield f'released/{name}.yml', f'{title}\n{RELEASED}\n{note}', released(options)


def cross_data_set() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Table 4: trained on one data set, tested on whole others."""
    for data in ('agiqa1k', 'agiqa3k', 'aigciqa2023'):
        options = full_size(f'table4_{data}', data)
        options['test'] = {}
        for (trained, other), figures in CROSS.items():
            if trained == data:
                test = data_set(other, split='all')
                del test['split_column']
                options['test'][other] = {key: value for key, value in test.items() if key != 'type'}
                options = published(options, figures, other)
        about = f'Table 4: v2 trained on {DATA[data].title}, tested on the whole of other data sets.\n{PAPER}'
        yield f'table4/{data}.yml', about, options


def row(table: int, name: str, changes: dict[str, Any], figures: tuple[float, float]) -> tuple[str, str, dict]:
    """One row of a table of ablations."""
    file = f'table{table}/{name}.yml'
    what = 'v2 on AIGCIQA2023 with other options under network.'
    if file in SAME_RUN:
        what = f'the same run as {SAME_RUN[file]}. Train only one of them.'
    about = f'Table {table}, {name.replace("_", " ")}: {what}\n{PAPER}\n{BY_IMAGE}'
    return file, about, ablation(f'table{table}_{name}', changes, figures)


def text(name: str, about: str, options: dict[str, Any]) -> str:
    """A file's content."""
    lines = [
        *about.splitlines(),
        *(
            f'  moeagiqa prepare {table} --source DIR'
            for table in table_names(options['datasets']['train']['meta_info_file'])
        ),
        f'  moeagiqa train options/{name}',
    ]
    options = options | {'datasets': {phase: Lines(data) for phase, data in options['datasets'].items()}}
    comment = '\n'.join(f'# {line}'.rstrip() for line in lines)
    return f'{comment}\n' + yaml.dump(options, Dumper=_Plain, sort_keys=False, default_flow_style=None, width=110)


class Lines(dict[str, Any]):
    """A section with a line for each option, however short."""


class _Plain(yaml.SafeDumper):
    """Writes shared parts out wherever they stand."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Plain.add_representer(
    Lines, lambda dumper, data: dumper.represent_mapping('tag:yaml.org,2002:map', data, flow_style=False)
)


def main() -> None:
    """Write all files; those that no table names any more are removed."""
    made = {FOLDER / name: text(name, about, options) for name, about, options in files()}
    for path in FOLDER.rglob('*.yml'):
        if path not in made:
            path.unlink()
    for path, content in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding='utf-8')


if __name__ == '__main__':
    main()
