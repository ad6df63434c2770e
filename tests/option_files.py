"""The project's option files, and each of them with tiny networks and a tiny data set."""

from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
import yaml
from clips import LENGTH, MATCHING, clip_folder, tokenizer_of
from PIL import Image
from safetensors.torch import save_file
from tiny import TINY, TINY_BLIP
from transformers import CLIPConfig, SiglipConfig

from pyiqa_moeagiqa.archs.blip import BlipSemantic
from pyiqa_moeagiqa.archs.semantic import BertSemantic
from pyiqa_moeagiqa.data.options import table_names
from scripts.write_options import DATA, FOLDER

FILES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob('*.yml'))
VIT = {'embed_dim': 32, 'depth': 12, 'num_heads': 2}
SIZE = 32
# Blocks 0 to 7 of the tiny prior are the tiny ViT's, as pre-training leaves them.
PRIOR_FROM = 8


def read_options(name: str) -> dict:
    """An option file as it stands."""
    return yaml.safe_load((FOLDER / name).read_text())


def one_of_each_kind() -> list[str]:
    """Files of which no two differ in their data sets and in numbers alone."""
    kinds = {}
    for name in FILES:
        options = read_options(name)
        data = [_without(data, 'name', 'meta_info_file') for data in options['datasets'].values()]
        tests = [_without(data, 'meta_info_file') for data in options['test'].values()]
        kind = _shape([data, tests, _without(options, 'name', 'published', 'datasets', 'test')])
        kinds.setdefault(repr(kind), name)
    return list(kinds.values())


def _without(options: dict, *names: str) -> dict:
    return {name: value for name, value in options.items() if name not in names}


def _shape(value):
    """The value with 0 for every number in it."""
    if isinstance(value, dict):
        return {name: _shape(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_shape(one) for one in value]
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value


def make_tables(folder: Path) -> Path:
    """One table for every data set: ten pictures, with all of the splits that option files name."""
    generator = np.random.default_rng(0)
    splits = ['train'] * 4 + ['val'] * 3 + ['test'] * 3
    for name, data in DATA.items():
        high, rows = data.mos_range[1], []
        for index, split in enumerate(splits):
            path = folder / f'{name}{index}.png'
            Image.fromarray(generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
            rows.append(
                [path.name, f'prompt {index}', high * index / 10, high * (10 - index) / 10, split, split, split, split]
            )
        columns = ['path', 'prompt', 'quality', 'alignment', 'image_0', 'prompt_0', 'official', 'released_0']
        pd.DataFrame(rows, columns=columns).to_csv(folder / f'{name}.csv', index=False)
    return folder


def tiny_weights(folder: Path) -> dict[str, str]:
    """Files of tiny encoders: 'timm', 'deep', 'prior', 'blip', 'bert', 'dino'; and folders: 'clip', 'siglip'."""
    torch.manual_seed(0)
    vit = timm.create_model(TINY['visual'], pretrained=False, num_classes=0, img_size=SIZE, **VIT).state_dict()
    prior = {
        name: tensor + torch.randn_like(tensor) if name.startswith(('blocks.8', 'blocks.9', 'blocks.1')) and not name.startswith('blocks.1.') else tensor
        for name, tensor in vit.items()
    }  # fmt: skip
    dino = timm.create_model('vit_small_patch14_dinov2', pretrained=False, num_classes=0, img_size=28, **VIT)
    deep = timm.create_model(TINY['visual'], pretrained=False, num_classes=0, img_size=SIZE, **VIT | {'depth': 24})
    parts = {
        'timm': vit,
        'deep': deep.state_dict(),
        'prior': prior,
        'dino': dino.state_dict(),
        'blip': BlipSemantic(**TINY_BLIP['semantic_options']).state_dict(),
        'bert': BertSemantic(TINY['semantic_options'], 32, 2).text.state_dict(),
    }
    files = {}
    for name, weights in parts.items():
        files[name] = str(folder / f'{name}.safetensors')
        save_file({key: tensor.contiguous() for key, tensor in weights.items()}, files[name])
    for family in ('clip', 'siglip'):
        clip_folder(folder / family, family)
        files[family] = str(folder / family)
    return files


def stated_sizes(source: str, folder: Path) -> str:
    """A folder that states the sizes of a published CLIP or SigLIP 2, as transformers would save it, without its weights."""
    if 'siglip2' in source:
        family, sizes = 'siglip', SiglipConfig(text_config={'vocab_size': 256_000})
    else:
        text = {'hidden_size': 768, 'intermediate_size': 3072, 'num_attention_heads': 12}
        vision = {'hidden_size': 1024, 'intermediate_size': 4096, 'num_attention_heads': 16, 'num_hidden_layers': 24}
        family, sizes = (
            'clip',
            CLIPConfig(text_config=text, vision_config=vision | {'patch_size': 14}, projection_dim=768),
        )
    sizes.save_pretrained(folder)
    tokenizer_of(family).save_pretrained(folder)
    return str(folder)


def as_tiny(options: dict, tables: Path, weights: dict[str, str], folder: Path) -> dict:
    """The options with the same settings but for sizes, files and the number of iterations."""
    size = 28 if 'semantic_options' in options['network'] else SIZE
    for data in [*options['datasets'].values(), *options['test'].values()]:
        if 'meta_info_file' in data:
            files = data['meta_info_file']
            moved = [str(tables / f'{name}.csv') for name in table_names(files)]
            data['meta_info_file'] = moved if isinstance(files, list) else moved[0]
    for data in options['datasets'].values():
        whole = 'global_batch_size' in data
        data |= {'num_worker_per_gpu': 0, 'global_batch_size' if whole else 'batch_size_per_gpu': 2}
    options['network'] = tiny_network(options['network'], options['model_type'], weights, size)
    train = {name: value for name, value in options['train'].items() if name != 'total_epoch'}
    options['train'] = train | {'total_iter': 2, 'cache_folder': str(folder / 'cache')}
    options['val']['val_freq'] = 2
    return options | {'num_gpu': 0, 'logger': {'print_freq': 1, 'save_latest_freq': 2, 'use_tb_logger': False}}


def tiny_network(network: dict, model_type: str, weights: dict[str, str], size: int) -> dict:
    """The network with tiny encoders; layers, branches, experts, frozen share and the rest as they stand."""
    vit = {'visual': TINY['visual'], 'visual_options': VIT, 'crop_size': size}
    if model_type == 'MoEAGIQAPriorModel':
        return network | vit | {'weights': weights['timm']}
    sizes = {'channels': 32, 'hidden': 32, 'heads': 2}
    if network.get('semantic') == 'clip':
        family = 'siglip' if 'siglip' in network['weights']['semantic'] else 'clip'
        vit |= {'visual': TINY['visual'], 'visual_options': VIT | {'depth': 24}}
        files = {'visual': weights['deep'], 'semantic': weights[family]}
        sizes |= {'matching': MATCHING[family], 'prompt_tokens': LENGTH}
    elif network.get('semantic') == 'bert':
        vit['visual'] = 'vit_small_patch14_dinov2'
        files = {'visual': weights['dino'], 'semantic': weights['bert']}
        sizes |= {'semantic_options': TINY['semantic_options'], 'matching': 16, 'token_pool': 1}
    else:
        files = {'visual': weights['timm'], 'prior': weights['prior'], 'semantic': weights['blip']}
        sizes |= {'semantic_options': TINY_BLIP['semantic_options']}
    return network | vit | sizes | {'weights': {part: files[part] for part in network['weights']}}
