"""pyiqa's metrics fetch their weights from the hub: where there is no way to it, nobody waits."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 3.0  # seconds


@contextmanager
def no_waiting_for_the_hub() -> Iterator[None]:
    """Where there is no way to the hub, its client is told so: it would try for a minute for each metric."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=PATIENCE).close()  # by the user's proxies and mirror
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
