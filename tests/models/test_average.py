"""The moving average of the weights: its arithmetic, and that it is what is validated and kept."""

import pytest
import torch
from pyiqa.data import build_dataset
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from training.pictures import batch, build, make_table, options, plain

from pyiqa_moeagiqa.models.average import MovingAverage


@pytest.mark.parametrize('decay', [0.15, 0.9])
def test_it_is_what_a_plain_loop_gives(decay):
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(3, generator=generator)
    average, expected = MovingAverage({'w': weight}, decay), weight.tolist()
    for update in range(1, 21):
        weight.copy_(torch.rand(3, generator=generator))
        average.update()
        kept = min(decay, (1 + update) / (10 + update))
        expected = [kept * old + (1 - kept) * new for old, new in zip(expected, weight.tolist(), strict=True)]
    assert average.average['w'].tolist() == pytest.approx(expected, abs=1e-6)


def test_it_takes_the_weights_place_and_leaves_it_again_even_after_an_error():
    weight, seen = torch.tensor([1.0]), []
    average = MovingAverage({'w': weight}, 0.9)
    weight.fill_(3.0)

    def fail_within():
        with average.in_place():
            seen.append(weight.item())
            raise KeyError

    with pytest.raises(KeyError):
        fail_within()
    assert (seen, weight.item(), average.average['w'].item()) == ([1.0], 3.0, 1.0)


def test_its_state_goes_on():
    weight = torch.tensor([1.0])
    one, two = (MovingAverage({'w': weight}, 0.9) for _ in range(2))
    weight.fill_(2.0)
    one.update()
    two.load_state_dict(one.state_dict())
    weight.fill_(5.0)
    for each in (one, two):
        each.update()
    assert one.average['w'].equal(two.average['w'])
    assert one.updates == two.updates == 2


def test_it_is_validated_and_saved(tiny_checkpoint, tmp_path):
    opt = plain(options(make_table(tmp_path), tiny_checkpoint), ema_decay=0.9)
    model, data = build(opt, tmp_path)
    for iteration in (1, 2, 3):
        model.feed_data(batch(data, range(4)))
        model.optimize_parameters(iteration)
    trained = {name: parameter.detach().clone() for name, parameter in model.trained.items()}
    average = {name: tensor.clone() for name, tensor in model.average.average.items()}
    assert not any(average[name].equal(tensor) for name, tensor in trained.items())
    seen, assess = [], model.assess
    model.assess = lambda: (seen.append({n: p.detach().clone() for n, p in model.trained.items()}), assess())[1]
    model.validation(DataLoader(build_dataset(model.opt['datasets']['val']), batch_size=7), 3, None)
    best = load_file(tmp_path / 'models' / 'net_best.safetensors')
    for name, tensor in average.items():
        assert seen[0][name].equal(tensor)
        assert best[name].equal(tensor)
        assert model.trained[name].equal(trained[name])  # training goes on with its own
