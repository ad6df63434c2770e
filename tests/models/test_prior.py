"""Pre-training of the prior writes what a v2 starts from, and the blocks that the release freezes stay as they were."""

import pytest
import torch
from option_files import as_tiny, make_tables, read_options, tiny_weights
from safetensors.torch import load_file
from tiny import TINY, TINY_BLIP

from pyiqa_moeagiqa.checkpoints.start import start_network, start_prior
from pyiqa_moeagiqa.training.run import run


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    return tiny_weights(tmp_path_factory.mktemp('weights'))


@pytest.fixture(scope='module')
def options(weights, tmp_path_factory):
    tables = make_tables(tmp_path_factory.mktemp('tables'))
    return as_tiny(read_options('moeagiqa_prior.yml'), tables, weights, tables)


@pytest.fixture(scope='module')
def prior(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp('prior')
    run(options, folder)
    return folder / 'models' / 'net_latest.safetensors'


def test_what_the_release_freezes_is_frozen(options):
    network = start_prior(options['network'])
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 1)
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert not any(name.startswith(('vit.patch_embed', 'vit.blocks.7')) for name in trained)
    assert any(name.startswith('vit.blocks.8') for name in trained)


def test_frozen_blocks_are_the_published_ones_and_the_others_have_learnt(prior, weights):
    before, after = load_file(weights['timm']), load_file(prior)
    changed = {name for name, tensor in before.items() if not tensor.equal(after[f'vit.{name}'])}
    late = ('blocks.8.', 'blocks.9.', 'blocks.10.', 'blocks.11.', 'norm.')
    assert all(name.startswith(late) for name in changed)
    assert 'blocks.8.norm1.weight' not in changed
    assert {'blocks.8.mlp.fc1.weight', 'blocks.11.attn.qkv.weight'} <= changed


def test_a_v2_starts_from_it_and_computes_the_frozen_blocks_once(prior, weights, options):
    network_options = TINY | TINY_BLIP | {
        'visual_options': options['network']['visual_options'], 'crop_size': 32, 'layers': (5, 6, 7, 8), 'prior': True,
        'branches': 'visual', 'weights': {'visual': weights['timm'], 'prior': str(prior)},
    }  # fmt: skip
    network, _ = start_network(network_options)
    assert network.trunk == 8
    trained = load_file(prior)['vit.blocks.8.mlp.fc1.weight']
    assert network.prior.blocks[8].mlp.fc1.weight.equal(trained)
