"""The learning rate at given iterations, worked out by hand."""

import math

import pytest
from training.pictures import batch, build, make_table, options, plain

LR = 0.01
COSINE = {'type': 'CosineAnnealingLR'}


@pytest.fixture
def rates(tiny_checkpoint, tmp_path):
    """The rate that each of a run's iterations uses; nothing is computed but the schedule."""
    opt = options(make_table(tmp_path), tiny_checkpoint)

    def of(optim='SGD', **train):
        made, data = build(plain(opt, optim={'type': optim, 'lr': LR}, **train), tmp_path)
        found, total = [], made.opt['train']['total_iter']
        made.feed_data(batch(data, range(2)))
        made.losses = lambda: {'l': next(iter(made.trained.values())).sum()}
        for iteration in range(1, total + 1):
            made.optimize_parameters(iteration)
            found.append(made.get_current_learning_rate()[0])
        return found

    return of


def test_warm_up_then_cosine(rates):
    found = rates(scheduler=COSINE, warmup=4, total_iter=14)
    rise = [LR * (0.01 + 0.99 * step / 4) for step in range(4)]
    fall = [LR * (1 + math.cos(math.pi * step / 10)) / 2 for step in range(10)]
    assert found == pytest.approx(rise + fall, rel=1e-6)


def test_accumulated_batches_share_a_rate_and_count_as_one_step(rates):
    found = rates(scheduler=COSINE, accumulate=2, total_iter=8)
    expected = [LR * (1 + math.cos(math.pi * step / 4)) / 2 for step in (0, 0, 1, 1, 2, 2, 3, 3)]
    assert found == pytest.approx(expected, rel=1e-6)


def test_per_epoch_the_rate_is_constant_within_an_epoch(rates):
    found = rates(scheduler=COSINE, schedule_per='epoch', total_epoch=4, total_iter=12)
    expected = [LR * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4) for _ in range(3)]
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_released_schedule_swings_back_up(rates):
    found = rates(optim='Adam', scheduler=COSINE | {'T_max': 50}, total_iter=103)
    assert found[50] == pytest.approx(0, abs=1e-9)
    assert found[25] == pytest.approx(LR / 2)
    assert found[100] == pytest.approx(LR, rel=1e-6)
    assert found[101] < found[100]
