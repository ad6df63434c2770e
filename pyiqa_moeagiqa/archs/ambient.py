"""What a caller may have set around a score, and a score must not depend on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..options import OptionError


@contextmanager
def plain_arithmetic(device: torch.device) -> Iterator[None]:
    """float32 as it is: neither autocast nor the quicker, coarser matrix products that a training may have asked for.

    A metric has a ``dtype`` of its own for what may be coarse.
    """
    with ExitStack() as stack:
        for kind in {'cpu', device.type}:  # images are made ready on the processor
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(_exact_products)
        yield


class _ExactProducts:
    """While any thread scores, float32 matrices are multiplied in float32.

    torch has one switch for the whole process, so the first to score turns it and the last one turns it back.
    """

    def __init__(self):
        self._lock, self._scoring, self._before = threading.Lock(), 0, []

    def __enter__(self) -> None:
        with self._lock:
            if not self._scoring:
                self._before = list(_coarse_products())
                for put, _ in self._before:
                    put(None)
            self._scoring += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._scoring -= 1
            if not self._scoring:
                for put, value in self._before:
                    put(value)


def _coarse_products() -> Iterator[tuple[Callable[[str | None], None], str]]:
    """The switches that are not at float32, as (a setter that takes None for float32, the value)."""
    matmuls = (
        torch.backends.cuda.matmul,
        torch.backends.mkldnn.matmul if hasattr(torch.backends.mkldnn, 'matmul') else None,
    )
    if all(hasattr(matmul, 'fp32_precision') for matmul in matmuls):
        for matmul in matmuls:
            if matmul.fp32_precision not in ('none', 'ieee'):
                yield (
                    lambda value, matmul=matmul: setattr(matmul, 'fp32_precision', value or 'ieee'),
                    matmul.fp32_precision,
                )
    elif torch.get_float32_matmul_precision() != 'highest':  # torch before 2.9
        yield lambda value: torch.set_float32_matmul_precision(value or 'highest'), torch.get_float32_matmul_precision()


_exact_products = _ExactProducts()


class SteadyModule(nn.Module):
    """A module whose weights keep their type and whose mode is evaluation, whatever is called on it or around it.

    ``half()``, ``double()`` and ``to(dtype)``, of the module or of a larger one that it is part of, would round its weights or
    mix types: what they are computed in is a metric's own option. Its place may change, but not to where there are no values.
    """

    def train(self, mode: bool = True) -> 'SteadyModule':
        """A score does not depend on a mode: the module stays in evaluation mode."""
        return super().train(False)

    @torch.inference_mode(False)  # tensors made in inference mode could never be part of a loss
    def _apply(self, function: Callable[[Tensor], Tensor], *more: Any) -> 'SteadyModule':
        def move(tensor: Tensor) -> Tensor:
            moved = function(tensor)
            if moved.is_meta and not tensor.is_meta:
                raise OptionError(
                    "device is 'meta': there a metric has no weights; move it to 'cpu', 'cuda' or the like."
                )
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(move, *more)
