"""The learning rate: a linear warm-up, then any schedule of torch's, stepped per update or per epoch."""

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer, lr_scheduler


def build_schedule(optimizer: Optimizer, train: Mapping[str, Any], steps: int) -> lr_scheduler.LRScheduler:
    """The schedule that ``train.scheduler`` and ``train.warmup`` describe.

    Args:
        optimizer: the optimizer whose rate is set.
        train: ``scheduler`` holds ``type`` and that class's arguments; CosineAnnealingLR without T_max falls over the whole
            run. ``warmup`` is the number of steps over which the rate rises from a hundredth to its full height.
        steps: length of the whole run, in the schedule's unit (updates or epochs).
    """
    options = dict(train['scheduler'])
    kind, warmup = options.pop('type'), train.get('warmup', 0)
    if kind == 'CosineAnnealingLR':
        options.setdefault('T_max', max(steps - warmup, 1))
    if not warmup:
        return getattr(lr_scheduler, kind)(optimizer, **options)
    rise = lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=warmup)
    after = getattr(lr_scheduler, kind)(optimizer, **options)
    return lr_scheduler.SequentialLR(optimizer, [rise, after], milestones=[warmup])
