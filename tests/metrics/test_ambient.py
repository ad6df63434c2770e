"""Scores are float32 and the same, whatever the caller has set around them or done to the metric."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pyiqa
import pytest
import torch
from PIL import Image
from torch import nn

from pyiqa_moeagiqa.metrics.ambient import plain_arithmetic
from pyiqa_moeagiqa.options import OptionError

CAT = 'a cat in the snow'
PROMPTS = [CAT, 'a dog', CAT]


@pytest.fixture(scope='module', params=['moeagiqa', 'imagereward'])
def made(request, tiny_checkpoint, tmp_path_factory):
    """Makes one of the two metrics."""
    if request.param == 'moeagiqa':
        path = tiny_checkpoint
    else:
        path = tmp_path_factory.mktemp('reward') / 'ImageReward.pt'
        torch.save(request.getfixturevalue('_image_reward_weights'), path)

    def make(**options):
        with tiny_reward():
            return pyiqa.create_metric(request.param, pretrained_model_path=str(path), **options)

    return make


@contextmanager
def tiny_reward():
    from functools import partial

    from tiny import TINY_IMAGE_REWARD

    from pyiqa_moeagiqa.archs import image_reward

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_reward, 'ImageReward', partial(image_reward.ImageReward, **TINY_IMAGE_REWARD))
        yield


@pytest.fixture(scope='module')
def metric(made):
    return made()


@pytest.fixture(scope='module')
def pictures():
    """A picture as files are read, a float tensor, a picture of another size."""
    noise = np.random.default_rng(1).integers(0, 256, (3, 80, 90, 3), dtype=np.uint8)
    return [
        Image.fromarray(noise[0]),
        torch.from_numpy(noise[1]).permute(2, 0, 1) / 255,
        Image.fromarray(noise[2, :70]),
    ]


@pytest.fixture(scope='module')
def expected(made, pictures):
    return made()(pictures, caption_list=PROMPTS)


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def coarse_products():
    torch.set_float32_matmul_precision('medium')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision('highest')


AROUND = {
    'autocast in bfloat16': lambda: torch.autocast('cpu', torch.bfloat16),
    'autocast in float16': lambda: torch.autocast('cpu', torch.float16),
    'autocast of the accelerator': lambda: torch.autocast('cuda', torch.float16, enabled=torch.cuda.is_available()),
    'no_grad': torch.no_grad,
    'enable_grad': torch.enable_grad,
    'inference_mode': torch.inference_mode,
    'default dtype float64': lambda: default_dtype(torch.float64),
    'default dtype float16': lambda: default_dtype(torch.float16),
    'another default device': lambda: torch.device('meta'),
    'deterministic algorithms': deterministic,
    'coarse matrix products': coarse_products,
}


@pytest.mark.parametrize('name', AROUND)
def test_what_is_set_around_a_score_does_not_matter(metric, pictures, expected, name):
    read = metric.net.read_images(pictures)
    for call in (metric, metric.net):  # pyiqa's own way, and the module itself
        with AROUND[name]():
            within = call(read, caption_list=PROMPTS)
        assert within.dtype == torch.float32
        assert within.equal(expected)
        assert call(pictures, caption_list=PROMPTS).equal(expected)  # and leaves no trace


@pytest.mark.parametrize('name', AROUND)
def test_a_metric_made_and_used_first_within_scores_the_same_outside(made, pictures, expected, name):
    around = AROUND[name]
    if name == 'another default device':
        around = torch.no_grad  # pyiqa itself makes a tensor there
    with around():
        metric = made()
        metric(pictures[0], caption_list=[CAT])
    assert metric(pictures, caption_list=PROMPTS).equal(expected)
    image = torch.rand(1, 3, 70, 70, requires_grad=True)
    metric.net(image, CAT).sum().backward()
    assert image.grad.abs().sum() > 0


def test_details_are_float32_under_autocast(metric, pictures):
    if metric.metric_name != 'moeagiqa':
        pytest.skip('imagereward has no such details')
    _, outside = metric(pictures, caption_list=PROMPTS, return_details=True)
    with torch.autocast('cpu', torch.bfloat16):
        _, details = metric(pictures, caption_list=PROMPTS, return_details=True)
    for name in ('crop_scores', 'gate', 'chosen', 'crop_positions'):
        assert getattr(details, name).equal(getattr(outside, name))
    assert details.scores['alignment'].equal(outside.scores['alignment'])


CASTS = {
    'half': lambda metric: metric.half(),
    'bfloat16': lambda metric: metric.to(torch.bfloat16),
    'double': lambda metric: metric.double(),
    'type': lambda metric: metric.type(torch.float16),
    'as part of a larger module': lambda metric: nn.Sequential(metric).half(),
    'train': lambda metric: metric.train(),
    'train of every part': lambda metric: [part.train() for part in list(metric.modules())],
    'device and dtype at once': lambda metric: metric.to('cpu', torch.float16),
}


@pytest.mark.parametrize('name', CASTS)
def test_what_is_called_on_a_metric_does_not_matter(made, pictures, expected, name):
    metric = made()
    CASTS[name](metric)
    assert metric(pictures, caption_list=PROMPTS).equal(expected)
    metric.float()
    assert metric(pictures, caption_list=PROMPTS).equal(expected)


@pytest.mark.parametrize(
    'move', [lambda metric: metric.to('meta'), lambda metric: metric.to(device='meta', dtype=torch.half)]
)
def test_where_there_are_no_values_a_metric_does_not_go(made, pictures, expected, move):
    metric = made()
    with pytest.raises(OptionError, match="device is 'meta': there a metric has no weights; move it to"):
        move(metric)
    assert metric(pictures, caption_list=PROMPTS).equal(expected)
    with pytest.raises(OptionError, match="device is 'meta'"):
        made(device='meta')


def test_copies_and_pickles_score_the_same(metric, pictures, expected):
    metric(pictures[0], caption_list=[CAT])
    with_graph = torch.rand(1, 3, 70, 70, requires_grad=True)
    metric.net(with_graph, CAT)
    for other in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        scores = other(pictures, caption_list=PROMPTS)  # weights may lie otherwise aligned
        torch.testing.assert_close(scores, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    'change',
    [
        lambda image: image.contiguous(memory_format=torch.channels_last),
        lambda image: image.double(),
        lambda image: image.flip(3).flip(3),
        lambda image: image.transpose(2, 3).contiguous().transpose(2, 3),
        lambda image: image.clone().requires_grad_(),
        lambda image: nn.Parameter(image),
        lambda image: image.numpy().transpose(0, 2, 3, 1),
        lambda image: image.numpy().transpose(0, 2, 3, 1)[..., ::-1][..., ::-1],
        lambda image: list(image),
        lambda image: tuple(image),
    ],
)
def test_how_an_image_lies_in_memory_does_not_matter(metric, pictures, change):
    image = pictures[1][None]
    expected = metric(image, caption_list=[CAT])
    torch.testing.assert_close(metric(change(image), caption_list=[CAT]), expected, atol=1e-6, rtol=0)


def test_threads_may_set_what_they_like(made, pictures, expected):
    metric, names = made(), list(AROUND)

    def score(number):
        name = names[number % len(names)]
        if name.startswith(('default', 'deterministic', 'coarse')):
            name = 'inference_mode'  # those are the whole process's
        place = number % 3
        picture = metric.net.read_images(pictures[place])
        with AROUND[name]():
            return metric(picture, caption_list=[PROMPTS[place]]).item() == expected[place].item()

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(score, range(66)))


def test_matrix_products_are_as_they_were_before():
    before = torch.get_float32_matmul_precision()
    with coarse_products():
        with plain_arithmetic(torch.device('cpu')), plain_arithmetic(torch.device('cpu')):
            assert not _coarse()
        assert torch.get_float32_matmul_precision() == 'medium'
        assert _coarse()
    assert torch.get_float32_matmul_precision() == before


def _coarse() -> bool:
    from pyiqa_moeagiqa.metrics.ambient import _coarse_products

    return bool(list(_coarse_products()))


def test_weights_that_learn_get_their_gradients(made, pictures):
    metric = made()
    metric(pictures[0], caption_list=[CAT])  # which is at hand now, without gradients
    for parameter in metric.net.parameters():
        parameter.requires_grad_()
    metric.net(pictures[0], CAT).sum().backward()
    learning = [parameter.grad is not None and bool(parameter.grad.any()) for parameter in metric.net.parameters()]
    assert sum(learning) > 0.8 * len(learning)
