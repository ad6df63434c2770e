"""Crops and views that are no squares."""

import numpy as np
import pytest
import torch

from pyiqa_moeagiqa.images.views import crop_positions, crop_sides, semantic_view, shown_part, take_crops, whole_view

WIDE = (20, 40)


def test_crops_show_the_pictures_own_pixels():
    image = torch.rand(3, 100, 90, generator=torch.Generator().manual_seed(0))
    positions = crop_positions(100, 90, WIDE, 3)
    assert positions[0].tolist() == [40, 25]  # the centre
    for (y, x), crop in zip(positions.tolist(), take_crops(image, positions, WIDE), strict=True):
        assert crop.equal(image[:, y : y + 20, x : x + 40])


def test_a_picture_that_is_too_narrow_is_padded_at_its_right():
    crops = take_crops(torch.ones(3, 50, 30), crop_positions(50, 30, WIDE, 2), WIDE)
    assert crops.shape == (2, 3, *WIDE)
    assert crops[..., :30].eq(1).all()
    assert crops[..., 30:].eq(0).all()


@pytest.mark.parametrize(
    ('picture', 'sides'),
    [
        ((80, 80), [[40, 80], [20, 40]]),  # twice as many pixels a side as 40 x 40
        ((30, 120), [[30, 60], [20, 40]]),  # shrunk until it fits
        ((120, 30), [[15, 30], [15, 30]]),
    ],
)
def test_crops_of_scales_keep_their_proportions_and_fit(picture, sides):
    assert crop_sides(*picture, WIDE, 2, (40, 0)).tolist() == sides
    positions = crop_positions(*picture, WIDE, 2, (40, 0))
    crops = take_crops(torch.ones(3, *picture), positions, WIDE, (40, 0))
    assert crops.shape == (2, 3, *WIDE)
    assert crops.min() > 0.999  # nothing is padded


@pytest.mark.parametrize('picture', [(60, 90), (90, 60), (50, 100)])
@pytest.mark.parametrize('whole', [False, True])
def test_a_view_shows_the_part_that_is_said(picture, whole):
    """The picture's brightness is its row and column, so that a view's edges tell what it shows."""
    image = torch.stack(torch.meshgrid(*(torch.arange(side) + 0.5 for side in picture), indexing='ij'))
    image = torch.cat([image, image[:1]]) / 100
    y, x, height, width = shown_part(*picture, WIDE, whole)
    view = (whole_view if whole else semantic_view)(image, WIDE) * 100
    assert view.shape == (3, *WIDE)
    for axis, (start, length, side) in enumerate(zip((y, x), (height, width), picture, strict=True)):
        shown = view[axis].mean(dim=1 - axis).numpy()
        places = start + (np.arange(WIDE[axis]) + 0.5) * length / WIDE[axis]
        mirrored = np.where(places < 0, -places, np.where(places > side, 2 * side - places, places))
        one_pixel = length / WIDE[axis]
        np.testing.assert_allclose(shown, mirrored, atol=one_pixel)
