"""Importing what imports torchao, without torch's log telling a user what torchao should do otherwise."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

LOG = 'torch.utils._pytree'  # it warns of enums that torchao registers


@contextmanager
def quiet_import() -> Iterator[None]:
    """Within, that log says errors alone; before and after it is as the user has set it."""
    log = logging.getLogger(LOG)
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
