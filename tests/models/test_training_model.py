"""One step: what accumulation and clipping do to the gradient, and that what is frozen stays so."""

import pytest
import torch
from pyiqa.data import build_dataset
from tiny import COMPACT_LIKE, TINY_BLIP, made, saved
from torch.utils.data import DataLoader
from training.pictures import batch, build, make_table, options, plain


@pytest.fixture(scope='module')
def opt(tiny_checkpoint, tmp_path_factory):
    return options(make_table(tmp_path_factory.mktemp('data')), tiny_checkpoint)


def gradient(opt, folder, parts, **train) -> dict:
    """The gradient of the first update, from batches of the given rows."""
    model, data = build(plain(opt, **{'accumulate': len(parts)} | train), folder)
    found, zero_grad = {}, model.optimizers[0].zero_grad

    def noting(**how):
        found.update({name: parameter.grad.clone() for name, parameter in model.trained.items()})
        zero_grad(**how)

    model.optimizers[0].zero_grad = noting
    for iteration, rows in enumerate(parts, 1):
        model.feed_data(batch(data, rows))
        assert not found
        model.optimize_parameters(iteration)
    assert found
    return found


def test_two_accumulated_batches_of_two_are_one_of_four(opt, tmp_path):
    whole, parts = gradient(opt, tmp_path, [[0, 1, 2, 3]]), gradient(opt, tmp_path, [[0, 1], [2, 3]])
    for name, expected in whole.items():
        torch.testing.assert_close(parts[name], expected, atol=1e-6, rtol=1e-6, msg=name)


def test_the_runs_last_update_is_not_smaller_for_having_fewer_batches(opt, tmp_path):
    whole = gradient(opt, tmp_path, [[0, 1, 2, 3]])
    last = gradient(opt, tmp_path, [[0, 1, 2, 3]], accumulate=2, total_iter=1)
    for name, expected in whole.items():
        torch.testing.assert_close(last[name], expected, atol=1e-6, rtol=1e-6, msg=name)


def norm(gradients: dict) -> float:
    return torch.cat([value.flatten() for value in gradients.values()]).norm().item()


def test_clipping_limits_the_norm_of_the_gradient_and_keeps_its_direction(opt, tmp_path):
    free = gradient(opt, tmp_path, [[0, 1, 2, 3]])
    clipped = gradient(opt, tmp_path, [[0, 1, 2, 3]], clip_grad_norm=0.1)
    assert norm(free) > 1
    assert norm(clipped) == pytest.approx(0.1, rel=1e-3)
    for name, value in free.items():
        torch.testing.assert_close(clipped[name], value * 0.1 / norm(free), atol=1e-5, rtol=1e-3, msg=name)
    assert norm(gradient(opt, tmp_path, [[0, 1, 2, 3]], clip_grad_norm=1e3)) == pytest.approx(norm(free))


@pytest.fixture(scope='module')
def blip(tmp_path_factory):
    """A tiny v2: BLIP of two layers each for images and words, and a prior."""
    return saved(made(**TINY_BLIP, prior=True), tmp_path_factory.mktemp('v2') / 'v2.safetensors')


@pytest.fixture(scope='module')
def compact_like(tmp_path_factory):
    """A tiny network with all that the compact one has; its gates count."""
    network = made(**COMPACT_LIKE)
    network.novelty.usual.fill_(1)
    return saved(network, tmp_path_factory.mktemp('compact') / 'compact.safetensors')


@pytest.fixture(params=['bert', 'blip with prior', 'as the compact network'])
def trained(request, opt, blip, compact_like, tmp_path):
    """A model after three steps with weight decay and a validation, and its tensors before."""
    opt = plain(opt, optim={'type': 'AdamW', 'lr': 1e-2, 'weight_decay': 0.5})
    if request.param == 'as the compact network':
        data = {name: one | {'crops': 3} for name, one in opt['datasets'].items()}
        opt |= {'network': {'type': 'MoEAGIQA', 'weights': {'checkpoint': str(compact_like)}}, 'datasets': data}
    elif request.param != 'bert':
        opt |= {'network': {'type': 'MoEAGIQA', 'weights': {'checkpoint': str(blip)}}}
    model, data = build(opt, tmp_path)
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    for iteration in (1, 2, 3):
        model.feed_data(batch(data, range(4)))
        model.optimize_parameters(iteration)
    model.validation(DataLoader(build_dataset(model.opt['datasets']['val']), batch_size=7), 3, None)
    model.feed_data(batch(data, range(4)))
    return model, before


def test_only_what_is_trained_changes(trained):
    model, before = trained
    after = model.network.state_dict()
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed == set(model.trained)
    frozen = set(before) - changed
    assert any(name.startswith('visual.') for name in frozen)
    assert any(name.startswith('semantic.text.') for name in frozen)


def test_the_optimizer_has_the_trained_parameters_alone(trained):
    model, _ = trained
    held = [id(parameter) for group in model.optimizers[0].param_groups for parameter in group['params']]
    assert sorted(held) == sorted(map(id, model.trained.values()))
    assert all(parameter.requires_grad for parameter in model.trained.values())


def test_frozen_parts_stay_in_evaluation_mode_also_after_validation(trained):
    network = trained[0].network
    assert network.training
    assert network.experts.training
    for part in network.frozen:
        assert not any(module.training for module in part.modules())


def test_the_gradient_reaches_exactly_what_is_trained(trained):
    model, _ = trained
    sum(model.losses().values()).backward()
    reached = {name for name, parameter in model.network.named_parameters() if parameter.grad is not None}
    assert reached == set(model.trained)


def test_of_blip_the_layers_above_the_frozen_share_are_trained(opt, blip, tmp_path):
    network = {'type': 'MoEAGIQA', 'weights': {'checkpoint': str(blip)}}
    model, _ = build(plain(opt | {'network': network}), tmp_path)
    encoders = {name for name in model.trained if name.startswith(('visual.', 'prior.', 'semantic.'))}
    starts = ('semantic.vision.encoder.layers.1.', 'semantic.vision.post_layernorm.', 'semantic.text.encoder.layer.1.')
    expected = {name for name in model.network.state_dict() if name.startswith(starts)}
    assert encoders == expected
    for start in starts:
        assert any(name.startswith(start) for name in expected)


def test_a_trained_network_does_not_say_what_was_usual_before(opt, compact_like, tmp_path):
    data = {name: one | {'crops': 3} for name, one in opt['datasets'].items()}
    changed = plain(opt) | {
        'network': {'type': 'MoEAGIQA', 'weights': {'checkpoint': str(compact_like)}},
        'datasets': data,
    }
    model, _ = build(changed, tmp_path)
    assert model.network.novelty.usual.item() == 0
