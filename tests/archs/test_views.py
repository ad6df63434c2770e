"""Crops and semantic view are pure functions of the image."""

import pytest
import torch

from pyiqa_moeagiqa.archs.views import crop_positions, semantic_view, take_crops


def test_the_first_crop_is_the_centre():
    assert crop_positions(512, 400, 224, 1).tolist() == [[144, 88]]


def test_more_crops_begin_with_the_same_ones():
    assert crop_positions(512, 512, 224, 15)[:3].equal(crop_positions(512, 512, 224, 3))


@pytest.mark.parametrize('size', [(512, 512), (225, 1000), (100, 300)])
def test_crops_lie_inside_and_reach_far(size):
    positions = crop_positions(*size, 224, 15)
    for side, places in zip(size, positions.T, strict=True):
        free = max(side - 224, 0)
        assert places.min() >= 0
        assert places.max() <= free
        assert places.max() - places.min() >= 0.75 * free


def test_a_small_image_is_padded_with_zeros():
    crops = take_crops(torch.ones(3, 10, 300), crop_positions(10, 300, 64, 2), 64)
    assert crops.shape == (2, 3, 64, 64)
    assert crops[:, :, :10].eq(1).all()
    assert crops[:, :, 10:].eq(0).all()


def test_bytes_are_scaled():
    image = torch.full((3, 70, 70), 255, dtype=torch.uint8)
    assert take_crops(image, torch.tensor([[0, 0]]), 64).eq(1).all()


def test_the_view_is_the_middle_square():
    image = torch.zeros(3, 100, 300)
    image[:, :, 100:200] = 1
    assert semantic_view(image, 32).mean() > 0.95


def test_a_strip_of_one_pixel_has_a_view():
    assert semantic_view(torch.rand(3, 1, 20_000), 32).shape == (3, 32, 32)


def test_the_view_keeps_the_gradient():
    image = torch.rand(3, 50, 50, requires_grad=True)
    semantic_view(image, 32).sum().backward()
    assert image.grad.abs().sum() > 0
