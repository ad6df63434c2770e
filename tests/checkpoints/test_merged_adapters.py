"""Checkpoints with adapters: merged wherever they are read, and refused by name where adapters do not fit."""

import pytest
import torch
from refusals import refuses
from tiny import TINY_BLIP, inputs, made

from pyiqa_moeagiqa.archs.lora import A, B, add_adapters, plain_names
from pyiqa_moeagiqa.checkpoints import Checkpoint, CheckpointError, load_network, read, save
from pyiqa_moeagiqa.checkpoints.lora import merged
from pyiqa_moeagiqa.checkpoints.start import start_network

LAYER = 'visual.blocks.1.attn.qkv'


@pytest.fixture(scope='module')
def adapted(tmp_path_factory):
    """A tiny v2 whose encoders all have adapters that count, and its file."""
    network = made(lora_rank=4, lora_alpha=6, **TINY_BLIP, prior=True, lora_towers=('visual', 'prior', 'semantic'))
    torch.nn.init.normal_(network.inject.w2)
    add_adapters(network)
    for name, parameter in network.trained.items():
        if '.lora_B.' in name:
            torch.nn.init.normal_(parameter, std=0.1)
    weights = {name: tensor.detach().clone() for name, tensor in plain_names(network.state_dict()).items()}
    path = tmp_path_factory.mktemp('adapted') / 'adapted.safetensors'
    return network, save(Checkpoint(network.config, weights, {}), path)


@torch.no_grad()
def score(network) -> torch.Tensor:
    return network.eval()(*inputs(network)).targets['quality'].score


def test_it_is_merged_to_score(adapted):
    network, path = adapted
    loaded, _ = load_network(path)
    assert loaded.config == network.config.changed(lora_rank=0)
    assert not any('lora' in name for name in loaded.state_dict())
    torch.testing.assert_close(score(loaded), score(network), atol=1e-5, rtol=0)


def test_the_sum_is_the_papers(adapted):
    before = read(adapted[1])
    weights = {name: tensor.double() for name, tensor in before.weights.items()}
    expected = weights[f'{LAYER}.weight'] + 6 / 4 * weights[LAYER + B] @ weights[LAYER + A]
    torch.testing.assert_close(merged(before).weights[f'{LAYER}.weight'].double(), expected, atol=1e-6, rtol=0)


def test_its_bits_do_not_depend_on_the_order_in_which_a_processor_adds(adapted):
    checkpoint = read(adapted[1])
    expected = merged(checkpoint).weights
    order = torch.tensor([2, 0, 3, 1])
    for name, tensor in checkpoint.weights.items():
        if name.endswith(A):
            checkpoint.weights[name] = tensor[order]
        elif name.endswith(B):
            checkpoint.weights[name] = tensor[:, order]
    again = merged(checkpoint).weights
    assert all(tensor.equal(again[name]) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda weights: weights.pop(LAYER + A), f'missing {LAYER + A}'),
        (lambda weights: weights.pop(f'{LAYER}.weight'), f'missing {LAYER}.weight'),
        (lambda weights: weights.update({LAYER + B: torch.ones(96, 5)}), f'misshapen {LAYER + B} (96, 5) instead of (96, 4)'),
        (lambda weights: weights.update({'fusion.x' + A: torch.ones(4, 4)}), f'extra fusion.x{A}'),
    ],
)  # fmt: skip
def test_adapters_that_do_not_fit_are_named(adapted, tmp_path, change, words):
    checkpoint = read(adapted[1])
    change(checkpoint.weights)
    path = save(checkpoint, tmp_path / 'changed.safetensors')
    with refuses(CheckpointError, path, words):
        load_network(path)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'lora_rank': 0}, 'extra prior.blocks.0.attn.proj.lora_A.weight'),
        ({'lora_rank': 3}, '(4, 32) instead of (3, 32)'),
        ({'lora_rank': 40}, "no layer of 'visual' is linear and has more channels"),
        ({'lora_towers': ['visual', 'semantic']}, 'extra prior.blocks.0.attn.proj.lora_A.weight'),
    ],
)
def test_a_header_that_says_otherwise_is_refused(adapted, tmp_path, options, words):
    checkpoint = read(adapted[1])
    checkpoint.config = checkpoint.config.changed(**options)
    path = save(checkpoint, tmp_path / 'lie.safetensors')
    with refuses(CheckpointError, path, words):
        load_network(path)


@pytest.mark.parametrize(('rank', 'adapters'), [(None, 42), (8, 42), (0, 0)])
def test_training_starts_where_it_scores_with_new_adapters_of_any_rank(adapted, rank, adapters):
    given = {} if rank is None else {'lora_rank': rank}
    network, _ = start_network({'weights': {'checkpoint': str(adapted[1])}} | given)
    assert network.config.lora_rank == (4 if rank is None else rank)
    assert sum('.lora_A.' in name for name in network.trained) == adapters
    torch.testing.assert_close(score(network), score(load_network(adapted[1])[0]), atol=1e-6, rtol=0)


def test_an_encoder_is_taken_with_its_adapters(adapted):
    network, path = adapted
    options = network.config.changed(lora_towers=('prior',)).to_dict()
    started, _ = start_network(options | {'weights': dict.fromkeys(('visual', 'prior', 'semantic'), str(path))})
    expected = load_network(path)[0].state_dict()
    for name in (f'{LAYER}.weight', 'semantic.text.encoder.layer.1.output.dense.weight'):
        assert started.state_dict()[name].equal(expected[name])
        assert not started.state_dict()[name].equal(read(path).weights[name])
    assert {name.split('.')[0] for name in started.trained if 'lora' in name} == {'prior'}
