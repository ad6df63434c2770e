"""BLIP's attention by torch's fused kernel: the same numbers as transformers' own, and only where the kernel is faster."""

import pytest
import torch
import torch.nn.functional as F
from tiny import TINY_BLIP

from pyiqa_moeagiqa.archs import blip


@pytest.fixture
def semantic():
    torch.manual_seed(0)
    semantic = blip.BlipSemantic(**TINY_BLIP['semantic_options'])
    for parameter in semantic.vision.parameters():  # its own initial values are too small to tell layers apart
        torch.nn.init.normal_(parameter, std=0.2)
    return semantic


def answer(semantic, monkeypatch, pays: bool):
    """Image features, the gradient of every tensor, and how often the fused kernel was called."""
    calls, attend = [], F.scaled_dot_product_attention
    monkeypatch.setattr(blip, 'fused_attention_pays', lambda device, dtype: pays)
    monkeypatch.setattr(
        F, 'scaled_dot_product_attention', lambda *args, **more: calls.append(1) or attend(*args, **more)
    )
    pixels = torch.rand(2, 3, semantic.view_size, semantic.view_size, generator=torch.Generator().manual_seed(0))
    features = semantic.image_features(pixels)
    semantic.zero_grad(set_to_none=True)
    features.square().mean().backward()
    monkeypatch.undo()
    return features, {name: p.grad for name, p in semantic.vision.named_parameters()}, len(calls)


def test_the_fused_kernel_gives_what_transformers_writes_out(semantic, monkeypatch):
    fused, fused_gradients, calls = answer(semantic, monkeypatch, pays=True)
    plain, gradients, none = answer(semantic, monkeypatch, pays=False)
    assert (calls, none) == (len(semantic.vision.encoder.layers), 0)
    torch.testing.assert_close(fused, plain, atol=1e-5, rtol=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(fused_gradients[name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_it_drops_attention_in_training_alone(semantic, monkeypatch):
    for layer in semantic.vision.encoder.layers:
        layer.self_attn.dropout.p = 0.5
    first, second = (answer(semantic.train(), monkeypatch, pays=True)[0] for _ in range(2))
    assert not first.equal(second)
    first, second = (answer(semantic.eval(), monkeypatch, pays=True)[0] for _ in range(2))
    assert first.equal(second)
