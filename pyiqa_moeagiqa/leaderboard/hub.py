"""Avoids long waits when the hub, from which pyiqa's metrics fetch their weights, cannot be reached."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 3.0  # seconds


@contextmanager
def no_waiting_for_the_hub() -> Iterator[None]:
    """Set the hub's client offline if the hub cannot be reached: it would retry for a minute per metric."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=PATIENCE).close()  # uses the user's proxies and mirror
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
