"""Prompts stay with their images through loaders, devices and slices, and nowhere else."""

import copy
import pickle

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from pyiqa_moeagiqa.data.prompted_image import PromptedImage, prompted


@pytest.fixture
def batch():
    return prompted(torch.rand(3, 3, 8, 8), ['a', 'b', 'c'])


class Pictures(Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return {'img': prompted(torch.full((3, 4, 4), float(index)), [f'prompt {index}']), 'mos_label': index}


@pytest.mark.parametrize('workers', [0, 2])
def test_a_loader_hands_them_on(workers):
    seen = []
    for data in DataLoader(Pictures(), batch_size=2, num_workers=workers):
        assert isinstance(data['img'], PromptedImage)
        for image, prompt in zip(data['img'], data['img'].prompts, strict=True):
            assert prompt == f'prompt {int(image.mean())}'
            seen.append(prompt)
    assert seen == [f'prompt {index}' for index in range(5)]


@pytest.mark.parametrize(
    'change',
    [
        lambda batch: batch.to('cpu'),
        lambda batch: batch.to(torch.float64),
        lambda batch: batch.cpu(),
        lambda batch: batch.clone().detach().contiguous(),
        lambda batch: copy.deepcopy(batch),
        lambda batch: pickle.loads(pickle.dumps(batch)),
    ],
)
def test_they_stay(batch, change):
    changed = change(batch)
    assert isinstance(changed, PromptedImage)
    assert changed.prompts == ['a', 'b', 'c']
    torch.testing.assert_close(changed.as_subclass(torch.Tensor).float(), batch.as_subclass(torch.Tensor))


@pytest.mark.parametrize(
    ('index', 'prompts'),
    [(slice(1, None), ['b', 'c']), (1, ['b']), (-1, ['c']), ([2, 0], ['c', 'a']), (slice(0, 0), [])],
)
def test_a_slice_has_the_prompts_of_its_images(batch, index, prompts):
    assert batch[index].prompts == prompts
    assert batch[index].as_subclass(torch.Tensor).equal(batch.as_subclass(torch.Tensor)[index])


@pytest.mark.parametrize(
    'use',
    [
        lambda batch: batch * 2,
        lambda batch: batch.mean(dim=1),
        lambda batch: batch[:, 0],
        lambda batch: batch[torch.tensor([True, False, True])],
        lambda batch: batch.permute(1, 0, 2, 3),
        lambda batch: torch.stack([batch, batch]),
        lambda batch: torch.nn.functional.avg_pool2d(batch, 2),
        lambda batch: list(batch)[1],
        lambda batch: batch.split(2)[0],
        lambda batch: batch.unbind()[2],
    ],
)
def test_what_is_computed_is_a_plain_tensor(batch, use):
    assert type(use(batch)) is torch.Tensor
    assert use(batch).equal(use(batch.as_subclass(torch.Tensor)))


def test_a_gradient_reaches_the_image_itself(batch):
    image = batch.requires_grad_()
    assert image.is_leaf
    image.sum().backward()
    assert image.grad.shape == (3, 3, 8, 8)
    assert image.prompts == ['a', 'b', 'c']


def test_a_single_prompt_may_be_a_string():
    assert prompted(torch.rand(3, 4, 4), 'cat').prompts == ['cat']


def test_another_number_of_prompts_is_refused():
    with pytest.raises(ValueError, match='1 prompts were given for 2 images'):
        prompted(torch.rand(2, 3, 4, 4), ['a'])
