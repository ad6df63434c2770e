"""Many crops through an encoder, a few at a time: what fits the processor's cache, or the accelerator's memory."""

from collections.abc import Callable

import torch
from torch import Tensor

TOKENS_AT_ONCE = 1024  # on a processor: their widest activations, 12 MiB of a ViT-B's, still lie in its cache
TOKENS_IN_AUTOCAST = 16 * TOKENS_AT_ONCE  # there each pass casts all weights anew, which are to be cast seldom


def crops_at_once(tokens: int, device: torch.device) -> int:
    """How many crops of so many tokens go through a ViT together: on an accelerator as many as there are."""
    if device.type != 'cpu':
        return 2**31
    return max(1, (TOKENS_IN_AUTOCAST if torch.is_autocast_enabled('cpu') else TOKENS_AT_ONCE) // tokens)


def without_twins(crops: Tensor) -> tuple[Tensor, list[int] | None]:
    """The crops (N, ...) that differ, and for each of all its place among them; None where all differ.

    A picture of 512 x 512 pixels has the same crop at scale 512 and at its own pixels.
    """
    first = [next(place for place, other in enumerate(crops) if other.equal(crop)) for crop in crops]
    kept = sorted(set(first))
    return (crops, None) if len(kept) == len(crops) else (crops[kept], [kept.index(place) for place in first])


def in_chunks(
    function: Callable[[Tensor], tuple[Tensor | None, ...]], inputs: Tensor, size: int
) -> tuple[Tensor | None, ...]:
    """``function`` of ``inputs`` (N, ...), which answers for each row by itself, computed ``size`` rows at a time.

    An accelerator that runs out of memory is asked for half as many rows, down to one.

    Args:
        function: rows to a tuple of as many rows each, or None.
        inputs: all rows.
        size: rows at a time, at least 1.

    Raises:
        torch.OutOfMemoryError: where one row is too much.
    """
    if torch.compiler.is_exporting():  # a graph has no loop over a number of rows that is left open
        return function(inputs)
    size = min(size, len(inputs))
    while True:
        try:
            parts = [function(chunk) for chunk in inputs.split(size)]
            break
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        # Out of the handler, whose traceback would hold what is to be freed.
        torch.cuda.empty_cache()
        size = -(-size // 2)
    return tuple(None if column[0] is None else torch.cat(column) for column in zip(*parts, strict=True))
