"""Rewards: the metric's scores, in the forms in which trainers ask for them, in any thread and process."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import processes
import pytest
import torch
from PIL import Image

import pyiqa_moeagiqa
from pyiqa_moeagiqa.images.files import ImageError
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric
from pyiqa_moeagiqa.options import OptionError

PROMPTS = ('a cat in the snow', 'a dog', 'two birds')


@pytest.fixture(scope='module')
def reward(tiny_checkpoint):
    return pyiqa_moeagiqa.Reward(device='cpu', pretrained_model_path=str(tiny_checkpoint))


@pytest.fixture(scope='module')
def pixels():
    """(3, 90, 80, 3), as ddpo-pytorch passes images."""
    return np.random.default_rng(0).integers(0, 256, (3, 90, 80, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def images(pixels):
    """The same pictures as a tensor (3, 3, 90, 80) in [0, 1]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255


@pytest.fixture(scope='module')
def expected(tiny_checkpoint, images):
    return MoEAGIQAMetric(pretrained_model_path=str(tiny_checkpoint))(images, PROMPTS)[:, 0]


FORMS = {
    'uint8 array': lambda pixels, images: pixels,
    'float array': lambda pixels, images: (pixels / 255).astype(np.float32),
    'PIL images': lambda pixels, images: [Image.fromarray(one) for one in pixels],
    'tensor': lambda pixels, images: images,
    'list of tensors': lambda pixels, images: list(images),
    'float16': lambda pixels, images: images.half(),
    'bfloat16': lambda pixels, images: images.bfloat16(),
}


@pytest.mark.parametrize('form', FORMS)
def test_a_reward_is_the_metrics_score_in_float32(reward, pixels, images, expected, form):
    with torch.autocast('cpu', torch.bfloat16):
        rewards = reward(FORMS[form](pixels, images), PROMPTS)
    assert (rewards.dtype, rewards.shape, rewards.requires_grad) == (torch.float32, (3,), False)
    close = 5e-3 if form.endswith('16') else 1e-6  # of images that were rounded
    torch.testing.assert_close(rewards, expected, atol=close, rtol=0)


def test_trainers_that_pass_metadata_unpack_two_values(reward, images, expected):
    """ddpo-pytorch and TRL pass a tuple of each prompt's, Flow-GRPO a list or a dictionary that can be empty."""
    for metadata in (({}, {}, {}), [{'tag': 'cat'}] * 3, {}):
        rewards, known = reward(images, PROMPTS, metadata)
        assert rewards.equal(expected)
        assert known['quality'].equal(expected)
        assert set(known) == {'quality', 'alignment', 'cut_tokens'}
        assert {len(values) for values in known.values()} == {3}


def test_the_target_is_the_reward(tiny_checkpoint, reward, images):
    alignment = pyiqa_moeagiqa.Reward('alignment', 'cpu', pretrained_model_path=str(tiny_checkpoint))
    assert alignment(images, PROMPTS).equal(reward(images, PROMPTS, {})[1]['alignment'])


def test_the_embedded_metric_knows_which_images_are_new(images):
    _, known = pyiqa_moeagiqa.Reward(device='cpu', fast=True)(images[:1], ['word ' * 50], {})
    assert known['novelty'] > 1  # noise is
    assert known['cut_tokens'].tolist() == [50 + 2 - 35]


def test_a_gradient_reaches_the_images(reward, images, expected):
    varied = images.clone().requires_grad_()
    loss = reward.loss(varied, PROMPTS)
    torch.testing.assert_close(loss, -expected.mean())
    loss.backward()
    assert all(gradient.abs().sum() > 0 for gradient in varied.grad)
    uphill = (images - 1e-3 * varied.grad.sign()).clamp(0, 1)
    assert reward(uphill, PROMPTS).mean() > expected.mean()
    rewards, known = reward(varied, PROMPTS, {})  # TRL's AlignProp calls the reward itself
    assert rewards.requires_grad
    assert not known['alignment'].requires_grad


def test_images_with_a_gradient_may_stray_a_little(reward, images):
    with pytest.raises(ImageError, match=r'image 0 has values from .* scale them to \[0, 1\]'):
        reward(images * 1.4, PROMPTS)
    strayed = (images * 1.4).requires_grad_()
    reward.loss(strayed, PROMPTS).backward()
    assert strayed.grad.isfinite().all()
    with pytest.raises(ImageError, match=r'here they may stray'):
        reward.loss(strayed * 2 - 1, PROMPTS)


def test_no_gradient_flows_through_what_is_no_tensor(reward, pixels):
    for given, name in ((pixels, 'ndarray'), ([Image.fromarray(pixels[0])] * 3, 'Image')):
        with pytest.raises(ImageError, match=f'is of type {name}: no gradient flows through it; pass the tensor'):
            reward.loss(given, PROMPTS)


def test_wrong_options_are_said():
    with pytest.raises(OptionError, match="target is 'beauty': this checkpoint scores quality, alignment"):
        pyiqa_moeagiqa.Reward('beauty')
    with pytest.raises(OptionError, match="did you mean 'crops'"):
        pyiqa_moeagiqa.Reward(crop=3)


def test_threads_share_a_reward(reward, images, expected):
    def rewards(turn):
        varied = images.clone().requires_grad_()
        reward.loss(varied, PROMPTS).backward()
        return reward(images.roll(turn, 0), [PROMPTS[(row - turn) % 3] for row in range(3)]).roll(-turn), varied.grad

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(rewards, range(8)))
    assert all(found.equal(expected) for found, _ in answers)
    assert all(gradient.equal(answers[0][1]) for _, gradient in answers)


@pytest.fixture(scope='module')
def found(reward, images, tiny_checkpoint, tmp_path_factory):
    """What two processes found that were given the reward."""
    folder = tmp_path_factory.mktemp('processes')
    context = multiprocessing.get_context(
        'spawn'
    )  # a forkserver's socket can be too long for where temporary files are
    given = (reward, str(tiny_checkpoint), images, list(PROMPTS), str(folder))
    started = [context.Process(target=processes.work, args=(rank, *given)) for rank in range(processes.PROCESSES)]
    for process in started:
        process.start()
    for process in started:
        process.join(3 * processes.PATIENCE)
        process.kill()  # only one that hangs is still there
    assert [process.exitcode for process in started] == [0] * processes.PROCESSES
    return [torch.load(folder / f'{rank}.pt') for rank in range(processes.PROCESSES)]


def test_processes_and_their_forks_give_the_same_rewards(found, expected):
    for one in found:
        torch.testing.assert_close(one['own'], expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(torch.tensor(one['fork']), expected, atol=1e-6, rtol=0)


def test_the_mean_is_of_all_processes(found, expected):
    for rank, one in enumerate(found):
        assert one['count'] == 1 + rank  # after compute each has its own share again
        torch.testing.assert_close(one['together'], expected.mean(), atol=1e-6, rtol=0)
        assert one['again'].equal(one['together'])


def test_an_import_brings_neither_torch_nor_torchmetrics():
    code = (
        'import sys\n'
        'sys.modules["torchmetrics"] = None\n'  # as if it were not installed
        'import pyiqa_moeagiqa\n'
        'assert "torch" not in sys.modules\n'
        'from pyiqa_moeagiqa import *\n'
        'Reward, score\n'
        'try: pyiqa_moeagiqa.MoEAGIQAScore\n'
        'except ImportError as error: print(error)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.stdout == (
        "MoEAGIQAScore needs torchmetrics; install it with pip install 'pyiqa-moeagiqa[torchmetrics]'.\n"
    ), done.stderr
