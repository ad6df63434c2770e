"""Novelty: a network that was not told what is usual says nothing, and 1 stands for what is usual."""

import torch

from pyiqa_moeagiqa.archs.novelty import Novelty


def test_a_network_that_was_not_told_says_nothing():
    assert Novelty(4)(torch.rand(3, 4)) is None


def test_one_is_as_far_as_is_usual():
    novelty = Novelty(2)
    novelty.mean.copy_(torch.tensor([1.0, 5.0]))
    novelty.deviation.copy_(torch.tensor([2.0, 0.5]))
    novelty.usual.fill_(4.0)
    pictures = torch.tensor([[1.0, 5.0], [5.0, 6.0], [1.0, 7.0]])  # at the mean; 2 deviations off in both; 4 in one
    assert novelty(pictures).tolist() == [0.0, 1.0, 2.0]


def test_it_is_not_trained():
    assert not any(parameter.requires_grad for parameter in Novelty(4).parameters())
