"""The metric of torchmetrics keeps torchmetrics' conventions; ``test_reward.py`` joins it over two processes."""

import copy
import pickle

import pytest
import torch
from matplotlib import pyplot
from torchmetrics import MetricCollection

from pyiqa_moeagiqa import MoEAGIQAScore, Reward
from pyiqa_moeagiqa.images.read import PromptError

PROMPTS = ['a cat in the snow', 'a dog', 'two birds']


@pytest.fixture
def make(tiny_checkpoint):
    return lambda *target: MoEAGIQAScore(*target, metric_options={'pretrained_model_path': str(tiny_checkpoint)})


@pytest.fixture(scope='module')
def images():
    return torch.rand(3, 3, 70, 80, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope='module')
def rewards(tiny_checkpoint, images):
    return Reward(device='cpu', pretrained_model_path=str(tiny_checkpoint))(images, PROMPTS)


def test_it_is_the_mean_of_all_images_since_the_reset(make, images, rewards):
    score = make()
    score.update(images[:1], PROMPTS[:1])
    torch.testing.assert_close(score(images[1:], PROMPTS[1:]), rewards[1:].mean())  # forward gives the batch's
    torch.testing.assert_close(score.compute(), rewards.mean())
    score.reset()
    with pytest.warns(UserWarning, match='before the ``update`` method'):
        assert score.compute().isnan()


def test_a_collection_computes_both_targets(make, images, rewards):
    both = MetricCollection({'quality': make(), 'alignment': make('alignment')})
    for row in range(3):
        both.update(images[row : row + 1], PROMPTS[row : row + 1])
    found = both.compute()
    torch.testing.assert_close(found['quality'], rewards.mean())
    assert not found['alignment'].isclose(found['quality'])
    assert set(both.clone(prefix='val_').compute()) == {'val_quality', 'val_alignment'}


def test_state_dict_has_the_sums_and_no_weights(make, images):
    score = make()
    score.update(images, PROMPTS)
    assert score.state_dict() == {}
    score.persistent(True)
    assert set(score.state_dict()) == {'total', 'count'}
    other = make()
    other.persistent(True)
    other.load_state_dict(score.state_dict())
    other._update_count = 1  # else compute warns
    assert other.compute().equal(score.compute())


def test_it_moves_with_its_network(make, images, rewards):
    score = torch.nn.Sequential(make()).to('cpu', torch.float16)[0].half()
    seen = []
    score._apply(lambda tensor: seen.append(tensor.shape) or tensor)
    assert len(seen) > len(list(score.reward.metric.parameters()))  # on a processor nothing else shows a move
    score.update(images, PROMPTS)
    torch.testing.assert_close(score.compute(), rewards.mean())


def test_copies_go_on_alone(make, images, rewards):
    score = make()
    score.update(images[:1], PROMPTS[:1])
    for other in (copy.deepcopy(score), pickle.loads(pickle.dumps(score)), score.clone()):
        other.update(images[1:], PROMPTS[1:])
        torch.testing.assert_close(other.compute(), rewards.mean())
    torch.testing.assert_close(score.compute(), rewards[0])


def test_its_batch_value_has_a_gradient(make, images):
    score, varied = make(), images.clone().requires_grad_()
    score(varied, PROMPTS).backward()
    assert score.is_differentiable
    assert varied.grad.abs().sum() > 0
    assert not score.total.requires_grad  # sums keep no graph of earlier batches


def test_it_is_drawn(make, images):
    score = make()
    score.update(images, PROMPTS)
    figure, axes = score.plot()
    assert axes.get_ylim()[0] <= 0
    pyplot.close(figure)


def test_wrong_prompts_leave_the_sums_alone(make, images, rewards):
    score = make()
    score.update(images, PROMPTS)
    with pytest.raises(PromptError, match='2 prompts were given for 3 images'):
        score.update(images, PROMPTS[:2])
    torch.testing.assert_close(score.compute(), rewards.mean())
