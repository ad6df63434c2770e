"""Which pixels of an image are blurred, place by place."""

import pytest
import torch

from pyiqa_moeagiqa.scoring.occlusion import PLACES, blur, grid_of, occluded, windows


@pytest.mark.parametrize('size', [(512, 512), (400, 600), (1, 20_000), (20_000, 1), (1, 1), (3, 5), (500, 100)])
def test_an_image_of_any_size_has_about_49_places(size):
    rows, columns = grid_of(*size)
    assert 1 <= rows <= size[0]
    assert 1 <= columns <= size[1]
    assert rows * columns <= 1.2 * PLACES
    if min(size) >= 100:
        assert rows * columns >= 0.8 * PLACES
        assert rows / columns == pytest.approx(size[0] / size[1], rel=0.35)


@pytest.mark.parametrize(('length', 'count'), [(512, 7), (90, 8), (13, 4), (5, 5), (1, 1)])
def test_windows_hide_their_middle_and_together_everything(length, count):
    hidden = torch.zeros(count, length)
    for row, (first, share) in zip(hidden, windows(length, count), strict=True):
        row[first : first + len(share)] = share
    step = length / count
    for place, row in enumerate(hidden):
        middle = (place + 0.5) * step
        assert row[int(middle)] > 0.5
        pixels = torch.arange(length) + 0.5
        assert (row[(pixels - middle).abs() >= step] < 1e-6).all()
    inner = slice(-int(-step // 2), length - -int(-step // 2))
    torch.testing.assert_close(hidden.sum(dim=0)[inner], torch.ones(length)[inner])


@pytest.mark.parametrize('kind', [torch.uint8, torch.float32])
def test_a_copy_is_blurred_in_one_place_alone(kind):
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 63, 84), generator=generator, dtype=torch.uint8)
    image = image if kind == torch.uint8 else image / 255
    before, copies = image.clone(), list(occluded(image, (3, 4)))
    assert image.equal(before)
    assert len(copies) == 12
    copy, blurred = copies[5], blur(image)  # second row, second column: 31.5 down, 31.5 across
    assert copy.dtype == kind
    tolerance = {'atol': 1 if kind == torch.uint8 else 0.01, 'rtol': 0}
    torch.testing.assert_close(copy[:, 31, 31], blurred[:, 31, 31], **tolerance)
    outside = torch.ones(63, 84, dtype=torch.bool)
    outside[10:53, 10:53] = False
    assert copy[:, outside].equal(image[:, outside])
    assert blurred.float().std() < 0.4 * image.float().std()


def test_a_small_image_keeps_its_pixels():
    image = torch.rand(3, 5, 40)
    assert blur(image).equal(image)
