"""In which order training sees its images."""

import pytest

from pyiqa_moeagiqa.training.order import EpochOrder


def order(epoch=0, begin=0, batch=2, seed=1, **others):
    sampler = EpochOrder(12, batch, seed, **others)
    sampler.set_epoch(epoch, begin)
    return list(sampler)


def test_each_image_comes_once_and_another_order_every_epoch():
    first, second = (sum(order(epoch), start=[]) for epoch in (0, 1))  # noqa: RUF017
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second
    assert order(0) != order(0, seed=2)
    assert order(1) == order(1)


def test_an_epoch_is_gone_on_with_in_its_middle():
    assert order(3, begin=4) == order(3)[4:]


@pytest.mark.parametrize('processes', [2, 3])
def test_the_batches_of_all_processes_are_those_of_one(processes):
    shares = [order(5, batch=2, rank=rank, processes=processes) for rank in range(processes)]
    joined = [[row for part in parts for row in part] for parts in zip(*shares, strict=True)]
    assert joined == order(5, batch=2 * processes)


def test_without_shuffling_it_is_the_data_sets_own():
    assert order(7, shuffle=False) == [[row, row + 1] for row in range(0, 12, 2)]
