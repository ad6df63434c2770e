"""Adapters in the tiny networks: where they are, what stays as it is, and that nothing passes over them."""

import sys

import pytest
import torch
from tiny import COMPACT_LIKE, TINY, TINY_BLIP, config, inputs, made

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.lora import adapted_layers, add_adapters, plain_names
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.options import OptionError

NETWORKS = {
    'BERT, visual': {},
    'BERT, its own': {'lora_towers': ('semantic',), 'frozen_share': 0.5},
    'compact': COMPACT_LIKE | {'lora_towers': ('visual', 'semantic'), 'frozen_share': 0.0},
    'BLIP, all': TINY_BLIP | {'prior': True, 'lora_towers': ('visual', 'prior', 'semantic')},
    'BLIP, alone': TINY_BLIP | {'branches': 'semantic', 'lora_towers': ('semantic',)},
}


def loss_of(answer) -> torch.Tensor:
    loss = sum(scores.score.mean() for scores in answer.targets.values())
    if answer.matching is not None:
        image, prompt = answer.matching
        loss = loss + (image @ prompt.T).mean()
    return loss


@pytest.fixture(params=NETWORKS)
def changes(request):
    return NETWORKS[request.param]


def test_only_adapters_and_what_is_no_encoder_are_trained(changes):
    plain, network = made(**changes), made(lora_rank=4, **changes)
    layers = adapted_layers(network)
    add_adapters(network)
    towers = [
        ('semantic.vision.', 'semantic.text.') if part == 'semantic' else (f'{part}.',)
        for part in network.config.lora_towers
    ]
    starts = tuple(start for tower in towers for start in tower)
    expected = {name for name in plain.trained if not name.startswith(starts)}
    expected |= {f'{layer}.{matrix}.weight' for layer in layers for matrix in ('lora_A', 'lora_B')}
    assert set(plain_names(network.trained)) == expected
    # Distributed training waits for ever for a gradient that never comes.
    loss_of(network.train()(*inputs(network))).backward()
    assert [name for name, parameter in network.trained.items() if parameter.grad is None] == []


@torch.no_grad()
def test_the_start_is_the_network_without_adapters(changes):
    network = made(lora_rank=4, **changes).eval()
    expected = network(*inputs(network)).targets['quality'].score
    add_adapters(network)
    assert network.eval()(*inputs(network)).targets['quality'].score.equal(expected)


@torch.no_grad()
def test_the_adapter_of_the_priors_last_block_counts_though_only_one_token_is_computed():
    network = made(lora_rank=4, **TINY_BLIP, prior=True, lora_towers=('prior',)).eval()
    torch.nn.init.normal_(network.inject.w2)
    add_adapters(network)
    before = network.eval()(*inputs(network)).targets['quality'].score
    torch.nn.init.normal_(network.prior.blocks[-1].attn.qkv.lora_B['default'].weight)
    assert not torch.allclose(network(*inputs(network)).targets['quality'].score, before, atol=1e-4)


def test_a_trunk_is_not_shared_with_adapters():
    network = made(lora_rank=4, **TINY_BLIP, prior=True)
    network.prior.load_state_dict(network.visual.state_dict(), strict=False)
    network.find_shared_trunk()
    assert network.trunk == 3
    add_adapters(network)
    assert network.trunk == 0


def test_the_frozen_share_has_no_adapters():
    network = made(lora_rank=4, **TINY_BLIP, lora_towers=('semantic',))
    places = {tuple(name.split('.')[1:5]) for name in adapted_layers(network)}
    assert {place[:3] for place in places} == {('vision', 'encoder', 'layers'), ('text', 'encoder', 'layer')}
    assert {place[3] for place in places} == {'1'}  # of two layers the first is frozen


def test_encoders_with_adapters_have_the_dropout_of_their_options():
    network = made(lora_rank=4, visual_options=TINY['visual_options'] | {'proj_drop_rate': 0.5})
    assert not network.train().visual.training
    add_adapters(network)
    assert network.train().visual.training
    assert not network.semantic.text.embeddings.training


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'lora_rank': 257}, 'lora_rank is 257: it must be a whole number from 0 to 256'),
        ({'lora_alpha': 0}, 'lora_alpha is 0: it must be a whole number from 1 to 4096'),
        ({'lora_towers': ['vision']}, 'lora_towers is .*: it must be a list of names from visual, prior, semantic'),
        ({'lora_towers': ['prior']}, r'lora_towers is .* a list of encoders that the network has \(visual, semantic\)'),
        ({'lora_towers': ['semantic']}, "frozen_share is 1.0: it must be below 1 if lora_towers has 'semantic'"),
        ({'lora_rank': 32}, "lora_rank is 32: no layer of 'visual' is linear and has more channels"),
    ],
)
def test_adapters_that_cannot_be_are_refused(options, words):
    with pytest.raises(OptionError, match=words):
        adapted_layers(MoEAGIQA(MoEAGIQAConfig.from_options(TINY | {'lora_rank': 4} | options)))


def test_without_peft_training_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'peft', None)
    with pytest.raises(
        OptionError, match='lora_rank is 4: training with adapters needs peft; install it with pip install'
    ):
        add_adapters(made(lora_rank=4))


def test_towers_do_not_matter_without_adapters():
    assert config(lora_towers=['prior']).lora_rank == 0
