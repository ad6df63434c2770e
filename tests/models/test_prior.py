"""The prior is pre-trained by pyiqa's own model, and what that writes is where v2 starts."""

import numpy as np
import pandas as pd
import pyiqa.train
import pytest
import timm
import torch
import yaml
from PIL import Image
from tiny import TINY, TINY_BLIP

from pyiqa_moeagiqa.archs.prior_arch import MoEAGIQAPrior
from pyiqa_moeagiqa.checkpoints.start import start_network

VIT = {'embed_dim': 32, 'depth': 9, 'num_heads': 2}


@pytest.fixture
def vit_file(tmp_path):
    torch.manual_seed(0)
    vit = timm.create_model(TINY['visual'], pretrained=False, img_size=64, **VIT)
    torch.save(vit.state_dict(), tmp_path / 'vit.pth')
    return tmp_path / 'vit.pth'


def test_what_the_release_freezes_is_frozen(vit_file):
    network = MoEAGIQAPrior(str(vit_file), TINY['visual'], 64, VIT)
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, 1)
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert not any(name.startswith(('vit.patch_embed', 'vit.blocks.7')) for name in trained)
    assert any(name.startswith('vit.blocks.8') for name in trained)


def test_pre_training_writes_what_v2_starts_from(vit_file, tmp_path, monkeypatch):
    for index in range(6):
        pixels = np.random.default_rng(index).integers(0, 256, (70, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f'{index}.png')
    table = pd.DataFrame({'img_name': [f'{i}.png' for i in range(6)], 'mos': range(1, 7), 'official_split': ['train', 'train', 'train', 'train', 'val', 'val']})  # fmt: skip
    table.to_csv(tmp_path / 'table.csv', index=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'prior.yml'
    path.write_text(yaml.safe_dump(tiny_options(vit_file)))
    monkeypatch.setattr('sys.argv', ['train.py', '-opt', str(path)])
    pyiqa.train.train_pipeline(str(tmp_path))
    prior = tmp_path / 'experiments' / 'prior' / 'models' / 'net_best.pth'
    weights = {'visual': str(vit_file), 'prior': str(prior), 'semantic': str(vit_file)}
    options = TINY | TINY_BLIP | {'visual_options': VIT, 'prior': True, 'weights': weights, 'branches': 'visual'}
    network, _ = start_network(options)
    trained = torch.load(prior, weights_only=True)['params']
    assert network.prior.blocks[8].mlp.fc1.weight.equal(trained['vit.blocks.8.mlp.fc1.weight'])
    assert network.prior.blocks[7].mlp.fc1.weight.equal(
        torch.load(vit_file, weights_only=True)['blocks.7.mlp.fc1.weight']
    )


def tiny_options(vit_file) -> dict:
    """options/moeagiqa_prior.yml itself, with a tiny network and our pictures."""
    from test_options import read_options

    options = read_options('moeagiqa_prior.yml')
    options.update(name='prior', num_gpu=0)
    options['network'] |= {'weights': str(vit_file), 'visual': TINY['visual'], 'crop_size': 64, 'visual_options': VIT}
    for phase, crop in (('train', 'random_crop'), ('val', 'center_crop')):
        data = options['datasets'][phase]
        data |= {
            'dataroot_target': '.',
            'meta_info_file': 'table.csv',
            'num_worker_per_gpu': 0,
            'batch_size_per_gpu': 2,
        }
        data['augment'][crop] = 64
    options['train']['total_epoch'] = 1
    options['val']['val_freq'] = 1
    options['logger']['use_tb_logger'] = False
    return options
