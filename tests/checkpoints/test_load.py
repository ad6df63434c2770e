"""From a checkpoint to a network: with no option repeated, no download, no random weight, and strictly."""

import socket
from dataclasses import replace

import pytest
import torch
from refusals import refuses
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import TINY_BLIP, config, inputs

from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints import Checkpoint, CheckpointError, load_network, read, save
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric

ROTARY = {
    'visual': 'eva02_tiny_patch14_224',
    'visual_options': {'embed_dim': 24, 'depth': 4, 'num_heads': 2},
    'crop_size': 56,
}


def scores(network, images=2) -> torch.Tensor:
    with torch.inference_mode():
        answer = network.eval()(*inputs(network, images)).targets
    return torch.stack([target.score for target in answer.values()])


@pytest.mark.parametrize('length', [1, 9, 17])
def test_a_networks_tensors_begin_where_torchs_do_whatever_the_header(tiny_checkpoint, tmp_path, length):
    checkpoint = read(tiny_checkpoint)
    checkpoint.info['run'] = 'x' * length
    network, _ = load_network(save(checkpoint, tmp_path / 'other.safetensors'))
    assert {tensor.data_ptr() % 64 for tensor in network.state_dict().values()} == {0}


@pytest.mark.parametrize('changes', [{}, {'prior': True}, TINY_BLIP, {'branches': 'visual', 'matching': 0}, ROTARY])
def test_a_loaded_network_answers_as_the_saved_one(tmp_path, changes):
    before = MoEAGIQA(config(**changes))
    path = save(Checkpoint(before.config, before.state_dict(), {}), tmp_path / 'saved.safetensors')
    after, _ = load_network(path)
    assert torch.equal(scores(after), scores(before))


def test_nothing_is_downloaded(file, monkeypatch):
    def refuse(self, address):
        raise AssertionError(f'connects to {address}')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', False)
    load_network(file)


def test_the_header_comes_with_the_network(checkpoint, file):
    network, info = load_network(file)
    assert network.config == checkpoint.config
    assert info == checkpoint.info
    assert not network.training


@pytest.mark.parametrize('name', ['moeagiqa', 'moeagiqa-v1', 'moeagiqa-v2'])
def test_any_name_takes_another_network(name, file, network):
    metric = MoEAGIQAMetric(name, pretrained_model_path=str(file))
    assert metric.network.config == network.config
    assert metric.info['model_name'] == 'tiny'
    assert torch.equal(scores(metric.network), scores(network))


def remove(weights):
    del weights['local_ffn.local.bias']


def add(weights):
    weights['local_ffn.more.bias'] = torch.zeros(3)


def reshape(weights):
    weights['local_ffn.local.bias'] = torch.zeros(3)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (remove, 'missing local_ffn.local.bias'),
        (add, 'extra local_ffn.more.bias'),
        (reshape, 'misshapen local_ffn.local.bias (3,) instead of (32,)'),
    ],
)
def test_tensors_that_do_not_fit_are_listed(checkpoint, tmp_path, change, said):
    change(checkpoint.weights)
    path = save(checkpoint, tmp_path / 'changed.safetensors')
    with refuses(CheckpointError, path, said):
        load_network(path)


def test_a_long_list_is_cut(checkpoint, tmp_path):
    checkpoint.weights |= {f'more.{number}': torch.zeros(1) for number in range(25)}
    path = save(checkpoint, tmp_path / 'changed.safetensors')
    with pytest.raises(CheckpointError, match=r'extra more\.0, .* and 5 more\.$'):
        load_network(path)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'hidden': 16}, 'misshapen local_ffn.reduce.weight'),
        ({'experts': 5}, 'missing experts.quality.experts.4.0.weight'),
        ({'layers': (2, 9)}, 'layers is'),
        ({'visual': 'vit_of_tomorrow'}, 'vit_of_tomorrow'),
    ],
)
def test_weights_of_another_architecture_than_the_header_says_are_refused(checkpoint, tmp_path, changes, said):
    options = checkpoint.config.to_dict() | changes
    path = save(replace(checkpoint, config=type(checkpoint.config)(**options)), tmp_path / 'other.safetensors')
    with refuses(CheckpointError, path, said):
        load_network(path)


def test_another_crop_size_interpolates_all_that_depends_on_it(with_prior, tmp_path):
    path = save(with_prior, tmp_path / 'prior.safetensors')
    network, _ = load_network(path, crop_size=96)
    assert network.config.crop_size == 96
    assert network.inject.w1.shape == network.inject.w2.shape == (1, 32, 6, 6)
    assert network.visual.pos_embed.shape == network.prior.pos_embed.shape == (1, 1 + 36, 32)
    assert scores(network).isfinite().all()


def test_interpolation_keeps_what_is_constant_and_the_class_token(with_prior, tmp_path):
    weights = with_prior.weights | {'inject.w1': torch.full_like(with_prior.weights['inject.w1'], 0.7)}
    path = save(replace(with_prior, weights=weights), tmp_path / 'prior.safetensors')
    network, _ = load_network(path, crop_size=96)
    assert torch.allclose(network.inject.w1, torch.tensor(0.7), atol=1e-6)
    assert torch.equal(network.visual.pos_embed[:, 0], weights['visual.pos_embed'][:, 0])


def test_the_same_crop_size_changes_nothing(with_prior, tmp_path):
    path = save(with_prior, tmp_path / 'prior.safetensors')
    network, _ = load_network(path, crop_size=64)
    assert all(torch.equal(tensor, with_prior.weights[name]) for name, tensor in network.state_dict().items())


def test_a_crop_of_no_whole_patches_is_refused(file):
    with pytest.raises(ValueError, match='crop_size is 50'):
        load_network(file, crop_size=50)


def test_a_crop_size_of_0_is_not_taken_for_none(file):
    with pytest.raises(ValueError):  # noqa: PT011 - whose words these are is the network's matter
        load_network(file, crop_size=0)


@pytest.mark.parametrize('shape', [(1, 18, 32), (17, 32), (1, 17, 31), (1, 0, 32)])
def test_a_position_embedding_of_no_square_grid_is_named(file, shape):
    weights = load_file(file) | {'visual.pos_embed': torch.zeros(shape)}
    with safe_open(file, framework='pt') as opened:
        metadata = opened.metadata()
    save_file(weights, file, metadata)
    with refuses(CheckpointError, file, 'misshapen visual.pos_embed'):
        load_network(file)
