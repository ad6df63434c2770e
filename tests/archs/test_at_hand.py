"""What is at hand of the last image: small ones only, so that a large one does not stay beside the next."""

import torch

from pyiqa_moeagiqa.archs import at_hand
from pyiqa_moeagiqa.archs.at_hand import AtHand

POSITIONS = torch.tensor([[0, 0]])


def looks(pixels, times=2):
    """How often an image is looked at when it is asked for several times."""
    kept, count = AtHand(), []
    for _ in range(times):
        kept.image(pixels, POSITIONS, lambda: count.append(1) or 'features')
    return len(count)


def test_an_image_that_comes_again_is_looked_at_once():
    assert looks(torch.zeros(3, 8, 8, dtype=torch.uint8)) == 1


def test_a_large_image_is_not_kept(monkeypatch):
    monkeypatch.setattr(at_hand, 'LARGEST_AT_HAND', 100)
    assert looks(torch.zeros(3, 8, 8, dtype=torch.uint8)) == 2
