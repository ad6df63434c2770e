"""What a user is told of what cannot be: one sentence that names it."""

from contextlib import contextmanager

import pytest


@contextmanager
def refuses(error: type[Exception], *parts: object):
    """What is done within raises ``error``, a single line that ends like a sentence and names all ``parts``."""
    with pytest.raises(error) as refused:
        yield refused
    text = str(refused.value)
    assert '\n' not in text
    assert text.endswith(('.', '?'))
    assert [part for part in map(str, parts) if part not in text] == [], text
