"""Runs many crops through an encoder a few at a time, to fit the processor's cache or the accelerator's memory."""

from collections.abc import Callable

import torch
from torch import Tensor

TOKENS_AT_ONCE = 1024  # on a processor: their widest activations (12 MiB in a ViT-B) still fit its cache
TOKENS_IN_AUTOCAST = 16 * TOKENS_AT_ONCE  # autocast casts all weights in each pass, so larger chunks cast less often


def crops_at_once(tokens: int, device: torch.device) -> int:
    """How many crops of ``tokens`` tokens each go through a ViT together: on an accelerator all of them."""
    if device.type != 'cpu':
        return 2**31
    return max(1, (TOKENS_IN_AUTOCAST if torch.is_autocast_enabled('cpu') else TOKENS_AT_ONCE) // tokens)


def without_twins(crops: Tensor) -> tuple[Tensor, list[int] | None]:
    """Return the distinct crops among (N, ...), and for each of the N its index among them, or None if all differ.

    A picture of 512 x 512 pixels gives the same crop at scale 512 as at its own pixels.
    """
    first = [next(place for place, other in enumerate(crops) if other.equal(crop)) for crop in crops]
    kept = sorted(set(first))
    return (crops, None) if len(kept) == len(crops) else (crops[kept], [kept.index(place) for place in first])


def in_chunks(
    function: Callable[[Tensor], tuple[Tensor | None, ...]], inputs: Tensor, size: int
) -> tuple[Tensor | None, ...]:
    """Apply ``function`` to ``inputs`` (N, ...), ``size`` rows at a time; it must treat each row by itself.

    If an accelerator runs out of memory, all rows are computed again with ``size`` halved, down to one row.

    Args:
        function: maps rows to a tuple, whose elements are tensors of as many rows, or None.
        inputs: all rows.
        size: rows at a time, at least 1.

    Raises:
        torch.OutOfMemoryError: if one row is too much.
    """
    if torch.compiler.is_exporting():  # an exported graph cannot loop over a dynamic number of rows
        return function(inputs)
    size = min(size, len(inputs))
    while True:
        try:
            parts = [function(chunk) for chunk in inputs.split(size)]
            break
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        # Free after the except block: its traceback still references the tensors.
        torch.cuda.empty_cache()
        size = -(-size // 2)
    return tuple(None if column[0] is None else torch.cat(column) for column in zip(*parts, strict=True))
