"""Crops and views are pure functions of the image."""

import pytest
import torch
from torchvision.transforms.v2.functional import resize

from pyiqa_moeagiqa.images.views import (
    PLASTIC,
    crop_positions,
    crop_sides,
    free_places,
    semantic_view,
    take_crops,
    view_of,
    whole_view,
)


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


SCALES = (512, 378, 0)
RED, GREEN, BLUE, YELLOW = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)


def with_corners(height, width, corner):
    """A grey picture whose corners have colours of their own: red and green above, blue and yellow below."""
    image = torch.full((3, height, width), 0.5)
    rows, columns = (slice(corner), slice(-corner, None)), (slice(corner), slice(-corner, None))
    for number, colour in enumerate((RED, GREEN, BLUE, YELLOW)):
        image[:, rows[number // 2], columns[number % 2]] = torch.tensor(colour, dtype=torch.float32)[:, None, None]
    return image


def shows(view, colour):
    return ((view - torch.tensor(colour, dtype=view.dtype)[:, None, None]).abs().amax(dim=0) < 0.02).any().item()


@pytest.mark.parametrize('size', [(100, 400), (400, 100), (120, 100), (100, 100)])
def test_the_whole_view_shows_every_corner(size):
    image = with_corners(*size, 30)
    view = whole_view(image, 64)
    assert view.shape == (3, 64, 64)
    assert [shows(view, colour) for colour in (RED, GREEN, BLUE, YELLOW)] == [True] * 4
    if max(size) == 4 * min(size):
        assert not shows(semantic_view(image, 64), RED)  # the square in the middle has no corner


@pytest.mark.parametrize('size', [(90, 300), (300, 90)])
def test_the_whole_view_keeps_proportions(size):
    image = torch.zeros(3, *size)
    top, left = size[0] // 2 - 20, size[1] // 2 - 20
    image[:, top : top + 40, left : left + 40] = 1  # a square
    view = whole_view(image, 150)[0] > 0.5
    middle = view[53:97, 53:97]  # the picture without its mirror images
    assert middle.any(dim=1).sum() == pytest.approx(20, abs=1)
    assert middle.any(dim=0).sum() == pytest.approx(20, abs=1)


def test_the_whole_view_goes_on_as_its_mirror_image():
    image = torch.rand(3, 20, 60, generator=torch.Generator().manual_seed(0))
    view = whole_view(image, 60)
    assert view[:, 20:40].equal(image)
    assert view[:, :20].equal(image.flip(1))
    assert view[:, 40:].equal(image.flip(1))
    upright = whole_view(image.transpose(1, 2), 60)
    assert upright.equal(view.transpose(1, 2))


def test_the_whole_view_of_a_square_is_the_semantic_view():
    image = torch.rand(3, 90, 90, generator=torch.Generator().manual_seed(0))
    assert whole_view(image, 64).equal(semantic_view(image, 64))
    assert view_of(image, 64, whole=True).equal(whole_view(image, 64))
    wide = image[:, :50]
    assert view_of(wide, 64).equal(semantic_view(wide, 64))
    assert not view_of(wide, 64, whole=True).equal(view_of(wide, 64))


@pytest.mark.parametrize('size', [(1, 1), (1, 100), (100, 1), (1, 20_000), (7, 3)])
@pytest.mark.parametrize('kind', [torch.uint8, torch.float32])
def test_what_is_tiny_or_thin_is_looked_at(size, kind):
    image = torch.full((3, *size), 255 if kind == torch.uint8 else 1, dtype=kind)
    places = crop_positions(*size, 32, 4, SCALES)
    for seen in (whole_view(image, 32), *take_crops(image, places, 32, SCALES)):
        assert seen.shape == (3, 32, 32)
        torch.testing.assert_close(seen, torch.ones(3, 32, 32))  # white everywhere: nothing is padded


def test_of_a_strip_the_whole_view_has_lost_the_ends():
    strip = torch.zeros(3, 10, 100)
    strip[:, :, :20] = strip[:, :, 80:] = 1
    assert whole_view(strip, 40).mean() < 0.1
    strip[:, :, 31:69] = 1
    assert whole_view(strip, 40).mean() > 0.9


def test_the_whole_view_keeps_the_gradient():
    image = torch.rand(3, 50, 80, requires_grad=True)
    whole_view(image, 32).sum().backward()
    assert (image.grad.abs().sum(dim=0) > 0).all()


def test_sides_follow_the_pictures_pixels_and_take_turns():
    for picture, count, scales, expected in (
        ((1024, 1024), 4, SCALES, [504, 683, 252, 504]),
        ((512, 2048), 3, SCALES, [504, 512, 252]),  # never beyond the picture
        ((100, 100), 3, SCALES, [49, 67, 100]),
        ((100, 100), 2, (), [252, 252]),
    ):
        assert crop_sides(*picture, 252, count, scales).tolist() == [[side, side] for side in expected]


@pytest.mark.parametrize('count', [1, 3, 15])
@pytest.mark.parametrize('size', [(600, 500), (300, 900), (80, 90)])
def test_crops_of_scales_lie_inside_and_begin_with_the_centre_of_each(count, size):
    places, sides = crop_positions(*size, 64, count, SCALES), crop_sides(*size, 64, count, SCALES)
    assert places.shape == (count, 2)
    assert (places >= 0).all()
    assert (places + sides <= torch.tensor(size)).all()
    assert (places <= free_places(*size, 64, count, SCALES)).all()
    for scale in range(min(count, 3)):
        centre = (torch.tensor(size) - sides[scale]) / 2
        assert (places[scale] - centre).abs().max() <= 0.5
        own = places[scale::3].tolist()
        assert len(set(map(tuple, own))) == len(own)  # one after the other elsewhere


def test_without_scales_crops_lie_where_they_did():
    free, index = torch.tensor([288, 176]), torch.arange(15, dtype=torch.float64)[:, None]
    steps = torch.tensor([1 / PLASTIC, 1 / PLASTIC**2], dtype=torch.float64)
    assert crop_positions(512, 400, 224, 15).equal((((0.5 + index * steps) % 1) * (free + 1)).long())


def smooth(size):
    """A picture without detail that an enlargement would blur."""
    y, x = torch.meshgrid(torch.linspace(0, 6, size[0]), torch.linspace(0, 9, size[1]), indexing='ij')
    return torch.stack([y.sin(), x.cos(), (x + y).sin()]) / 2 + 0.5


@pytest.mark.parametrize('size', [(300, 240), (200, 400)])
def test_a_picture_and_its_enlargement_show_the_same(size):
    image = smooth(size)
    large = resize(image, [2 * size[0], 2 * size[1]], antialias=True)
    scales, count = (512, 378), 6
    crops, same = (
        take_crops(each, crop_positions(*each.shape[-2:], 96, count, scales), 96, scales) for each in (image, large)
    )
    assert (crops - same).abs().mean() < 0.01
    native, other = (take_crops(each, crop_positions(*each.shape[-2:], 96, count), 96) for each in (image, large))
    assert (native - other).abs().mean() > 0.05  # where own pixels are cut they do not


@pytest.mark.parametrize('kind', [torch.uint8, torch.float32])
def test_scale_0_has_the_pictures_own_pixels(kind):
    draw = torch.Generator().manual_seed(0)
    image = torch.randint(256, (3, 200, 150), generator=draw).to(torch.uint8)
    image = image if kind == torch.uint8 else image / 255
    places = crop_positions(200, 150, 64, 5, (0,))
    assert places.equal(crop_positions(200, 150, 64, 5))
    assert take_crops(image, places, 64, (0,)).equal(take_crops(image, places, 64))
    mixed = take_crops(image, crop_positions(200, 150, 64, 3, SCALES), 64, SCALES)
    assert mixed[2].equal(take_crops(image, places[:1], 64)[0])


def test_with_scales_a_small_picture_is_enlarged_and_not_padded():
    image = torch.ones(3, 10, 30)
    crops = take_crops(image, crop_positions(10, 30, 64, 3, SCALES), 64, SCALES)
    torch.testing.assert_close(crops, torch.ones(3, 3, 64, 64))
    assert take_crops(image, crop_positions(10, 30, 64, 1), 64).mean() < 0.1


def test_crops_of_scales_stay_in_range_and_keep_the_gradient():
    checks = (torch.arange(80)[:, None] + torch.arange(80)) % 2
    image = checks.float().expand(3, 80, 80).clone().requires_grad_()
    crops = take_crops(image, crop_positions(80, 80, 64, 3, SCALES), 64, SCALES)
    assert 0 <= crops.min() < crops.max() <= 1  # bicubic overshoots
    crops.square().sum().backward()
    assert image.grad.abs().sum() > 0
