"""Degradations are stronger as their level rises, repeatable, and told by their number."""

import pytest
import torch

from pyiqa_moeagiqa.data.degradations import KINDS, degrade


@pytest.fixture
def picture():
    """Smooth colours with edges and texture, (3, 64, 64)."""
    generator = torch.Generator().manual_seed(0)
    slope = torch.linspace(0.1, 0.9, 64)
    image = torch.stack([slope[None].expand(64, 64), slope[:, None].expand(64, 64), 0.5 * torch.ones(64, 64)])
    image = image + 0.05 * torch.rand(3, 64, 64, generator=generator)
    image[:, 20:40, 20:40] = torch.tensor([0.8, 0.2, 0.1])[:, None, None]
    return image.clamp(0, 1)


def error(image, kind, level):
    torch.manual_seed(0)
    result = KINDS[kind][1](image, level)
    assert result.shape == image.shape
    assert result.min() >= 0
    assert result.max() <= 1
    return (result - image).square().mean().item()


@pytest.mark.parametrize('kind', range(1, len(KINDS)), ids=[name for name, _ in KINDS[1:]])
def test_a_higher_level_is_further_from_the_picture(picture, kind):
    errors = [error(picture, kind, level) for level in (0.0, 0.5, 1.0)]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_the_kind_none_changes_nothing(picture):
    assert error(picture, 0, 0.7) == 0


def test_the_same_draw_gives_the_same_and_leaves_torchs_state_alone(picture):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (degrade(picture[None], torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert first[1:] == second[1:]
    assert torch.equal(torch.get_rng_state(), before)


def test_all_kinds_are_drawn_and_only_none_has_no_strength(picture):
    draw = torch.Generator().manual_seed(0)
    seen = [degrade(picture[None], draw)[1:] for _ in range(80)]
    assert {kind for kind, _ in seen} == set(range(len(KINDS)))
    assert all((level == 0) == (kind == 0) for kind, level in seen)
