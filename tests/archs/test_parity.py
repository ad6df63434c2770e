"""The equations against what the released implementation and image-reward 1.5 answered with the same weights.

Where the golden numbers come from: tests/reference/README.md. Every case also has its converse: with one term of its
equation changed, it must fail.
"""

from functools import cache

import pytest
import timm
import torch
from reference.cases import CASES, GOLDEN, TINY_BLIP_SIZES, difference, given, tensors

from pyiqa_moeagiqa.archs.blip import BlipSemantic
from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.moeagiqa_arch import Features, MoEAGIQA
from pyiqa_moeagiqa.archs.prior_arch import PriorRegressor
from pyiqa_moeagiqa.archs.vit import image_token, layer_features
from pyiqa_moeagiqa.checkpoints.names import from_image_reward, from_released_regressor

TOLERANCE = 1e-5
NO_TOKENS = torch.zeros(1, 0)  # the stand-in for the text encoder reads none


class Words(torch.nn.Module):
    """Stands for the text encoder: answers with the reference case's text features."""

    width = 768

    def trained_image_features(self, hidden):
        return hidden

    def text_features(self, ids, mask, image):
        return given('text_features', 3, 35, 768)


@cache
def released_head(version: str) -> MoEAGIQA:
    """The network after its encoders, with the reference weights."""
    with torch.device('meta'):
        network = MoEAGIQA(MoEAGIQAConfig(prior=version == 'v2'))
    network.semantic = Words()
    for part in ('visual', 'prior'):
        if hasattr(network, part):
            setattr(network, part, torch.nn.Identity())
    state = from_released_regressor(tensors(f'regressor_{version}'))
    assert not network.load_state_dict(state, assign=True).missing_keys
    return network.eval()


def assess(version: str):
    features = Features(
        given('vit_features', 3, 3072, 14, 14)[:, None], given('vit_prior', 3, 768)[:, None], image=torch.zeros(3, 1, 1)
    )
    pooled = []
    network = released_head(version)
    handle = network.dropout.register_forward_hook(lambda module, args, out: pooled.append(out))
    with torch.inference_mode():
        answer = network.assess(features, NO_TOKENS, NO_TOKENS).targets['quality']
    handle.remove()
    return {'pooled': pooled[0], 'gate': answer.gate, 'score': answer.score}


@pytest.mark.parametrize('version', ['v1', 'v2'])
@pytest.mark.parametrize('what', ['pooled', 'gate', 'score'])
def test_fusion_gate_and_experts(version, what):
    assert difference(assess(version)[what], f'{version}_{what}') < TOLERANCE


def prior_regressor() -> PriorRegressor:
    """The two-layer regressor of the prior's pre-training with the reference weights."""
    regressor, ours = PriorRegressor(768), {'project.0.': 'hidden.', 'project.2.': 'score.'}
    state = {ours[name[:10]] + name[10:]: tensor for name, tensor in tensors('prior_regressor').items()}
    regressor.load_state_dict(state)
    return regressor


def test_prior_regressor():
    regressor = prior_regressor()
    assert difference(regressor(given('vit_prior', 3, 768)), 'prior_regressor_score') < TOLERANCE


@cache
def tiny_blip() -> BlipSemantic:
    semantic = BlipSemantic(**TINY_BLIP_SIZES)
    weights = from_image_reward(tensors('tiny_blip'))
    semantic.load_state_dict({name.removeprefix('semantic.'): tensor for name, tensor in weights.items()})
    return semantic.eval()


def blip_features():
    semantic = tiny_blip()
    ids, mask = torch.from_numpy(GOLDEN['blip_ids']), torch.from_numpy(GOLDEN['blip_mask'])
    with torch.inference_mode():
        image = semantic.image_features(given('blip_pixels', 2, 3, 48, 48))
        return image, semantic.text_features(ids, mask, image)


def test_blip_image_features():
    assert difference(blip_features()[0], 'blip_image_embeds') < TOLERANCE


def test_blip_text_features():
    assert difference(blip_features()[1], 'blip_text_features') < TOLERANCE


@cache
def tiny_vit() -> torch.nn.Module:
    options = CASES['tiny_vit_config']
    names = ('img_size', 'embed_dim', 'depth', 'num_heads', 'num_classes')
    vit = timm.create_model('vit_base_patch16_224', pretrained=False, **{name: options[name] for name in names})
    vit.load_state_dict(tensors('tiny_vit'))
    return vit.eval()


def vit_features(layers) -> torch.Tensor:
    with torch.inference_mode():
        tokens, _ = layer_features(tiny_vit(), given('vit_pixels', 2, 3, 32, 32), layers)
    return tokens.flatten(2).transpose(1, 2)


def test_vit_layers_5_to_8():
    assert difference(vit_features([5, 6, 7, 8]), 'vit_layers_5_to_8') < TOLERANCE


def test_vit_class_token():
    with torch.inference_mode():
        token = image_token(tiny_vit(), given('vit_pixels', 2, 3, 32, 32))
    assert difference(token, 'vit_class_token') < TOLERANCE


# The converse: one term changed, and the case must fail.


@pytest.mark.parametrize('layers', [[4, 5, 6, 7], [6, 7, 8, 9]])
def test_other_layers_fail(layers):
    assert difference(vit_features(layers), 'vit_layers_5_to_8') > 100 * TOLERANCE


class _Changed:
    """Context in which one tensor is another."""

    def __init__(self, tensor):
        self.tensor, self.before = tensor, tensor.detach().clone()

    def __enter__(self):
        with torch.no_grad():
            noise = torch.randn(self.tensor.shape, generator=torch.Generator().manual_seed(0))
            self.tensor.add_(0.1 * self.tensor.abs().mean() * noise)

    def __exit__(self, *error):
        with torch.no_grad():
            self.tensor.copy_(self.before)


HEAD = [
    'local_ffn.reduce.weight',
    'local_ffn.local.weight',
    'project_semantic.weight',
    'fusion.norm_visual.weight',
    'fusion.norm_semantic.bias',
    'fusion.attention.to_q.weight',
    'fusion.attention.to_k.weight',
    'fusion.attention.to_v.weight',
    'fusion.attention.to_out.bias',
]


@pytest.mark.parametrize('version', ['v1', 'v2'])
@pytest.mark.parametrize('name', HEAD)
def test_a_changed_fusion_tensor_fails(version, name):
    with _Changed(released_head(version).get_parameter(name)):
        assert difference(assess(version)['pooled'], f'{version}_pooled') > 10 * TOLERANCE


@pytest.mark.parametrize('name', ['project.weight', 'squeeze.weight', 'excite.bias', 'w1', 'w2'])
def test_a_changed_injection_fails(name):
    with _Changed(released_head('v2').get_parameter(f'inject.{name}')):
        assert difference(assess('v2')['pooled'], 'v2_pooled') > 10 * TOLERANCE


@pytest.mark.parametrize('what', ['gate.weight', 'experts.0.0.weight', 'experts.1.2.weight', 'experts.3.2.bias'])
def test_a_changed_expert_fails(what):
    with _Changed(released_head('v1').get_parameter(f'experts.quality.{what}')):
        assert difference(assess('v1')['score'], 'v1_score') > 10 * TOLERANCE


@pytest.mark.parametrize('top_k', [1, 2, 4])
def test_another_k_fails(top_k, monkeypatch):
    monkeypatch.setattr(released_head('v1').experts['quality'], 'top_k', top_k)
    assert difference(assess('v1')['score'], 'v1_score') > 10 * TOLERANCE


def test_renormalised_gate_fails():
    answer = assess('v1')
    chosen = answer['gate'].topk(3, dim=-1).values.sum(-1)
    assert difference(answer['score'] / chosen, 'v1_score') > 10 * TOLERANCE


def test_attention_of_another_scale_fails(monkeypatch):
    monkeypatch.setattr(released_head('v1').fusion.attention, 'heads', 4)
    assert difference(assess('v1')['pooled'], 'v1_pooled') > 10 * TOLERANCE


@pytest.mark.parametrize('name', ['hidden.weight', 'score.bias'])
def test_a_changed_prior_regressor_fails(name):
    regressor = prior_regressor()
    with _Changed(regressor.get_parameter(name)):
        assert difference(regressor(given('vit_prior', 3, 768)), 'prior_regressor_score') > 10 * TOLERANCE


@pytest.mark.parametrize(
    ('name', 'which'),
    [
        ('vision.post_layernorm.weight', 0),
        ('vision.encoder.layers.1.self_attn.qkv.weight', 0),
        ('text.encoder.layer.0.crossattention.self.key.weight', 1),
        ('text.encoder.layer.1.attention.self.query.weight', 1),
        ('text.embeddings.position_embeddings.weight', 1),
    ],
)
def test_a_changed_blip_tensor_fails(name, which):
    with _Changed(tiny_blip().get_parameter(name)):
        features, golden = blip_features()[which], ['blip_image_embeds', 'blip_text_features'][which]
        assert difference(features, golden) > 10 * TOLERANCE


def test_text_without_mask_fails():
    semantic = tiny_blip()
    ids = torch.from_numpy(GOLDEN['blip_ids'])
    with torch.inference_mode():
        image = semantic.image_features(given('blip_pixels', 2, 3, 48, 48))
        features = semantic.text_features(ids, torch.ones_like(ids), image)
    assert difference(features, 'blip_text_features') > 10 * TOLERANCE
