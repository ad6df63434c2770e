"""Shields scores from settings of their caller: autocast, matrix precision, dtypes and modes."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from ..options import OptionError


@contextmanager
def plain_arithmetic(device: torch.device) -> Iterator[None]:
    """Within the context, compute in full float32: without autocast and without faster, coarser matrix products.

    Training code often enables those for the whole process. A metric has its own ``dtype`` option for coarser arithmetic.
    """
    _let_forks_score()
    with ExitStack() as stack:
        for kind in {'cpu', device.type}:  # the processor prepares the images
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(_exact_products)
        yield


class _ExactProducts:
    """Keeps products of float32 matrices in float32 while any thread scores.

    torch's switches hold for the whole process, so the first thread to score sets them and the last one restores them.
    """

    def __init__(self) -> None:
        self._lock, self._scoring = threading.Lock(), 0
        self._before: list[tuple[Callable[[str | None], None], str]] = []

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


def _set_precision(matmul: Any, value: str | None) -> None:
    matmul.fp32_precision = value or 'ieee'


def _coarse_products() -> Iterator[tuple[Callable[[str | None], None], str]]:
    """Yield (setter, current value) of each switch that is not at float32; a setter takes None for float32."""
    matmuls: tuple[Any, ...] = (
        torch.backends.cuda.matmul,
        torch.backends.mkldnn.matmul if hasattr(torch.backends.mkldnn, 'matmul') else None,
    )
    if all(hasattr(matmul, 'fp32_precision') for matmul in matmuls):
        for matmul in matmuls:
            if matmul.fp32_precision not in ('none', 'ieee'):
                yield partial(_set_precision, matmul), matmul.fp32_precision
    elif torch.get_float32_matmul_precision() != 'highest':  # torch before 2.9
        yield lambda value: torch.set_float32_matmul_precision(value or 'highest'), torch.get_float32_matmul_precision()


_exact_products = _ExactProducts()


@cache
def _let_forks_score() -> None:
    """From now on, prepare each process that is forked from this one."""
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    """Wait for no thread of the parent: none is there, but OpenMP counts on its own, and another may have held the lock."""
    torch.set_num_threads(1)
    _exact_products.__init__()  # type: ignore[misc]


class SteadyModule(nn.Module):
    """A module that ignores calls that would change its weights' dtype or its evaluation mode.

    ``half()``, ``double()`` and ``to(dtype)`` would round weights or mix dtypes, also when a larger module passes them on. A
    metric's own ``dtype`` option sets the dtype of its arithmetic. The module can move to any device except 'meta', where
    tensors have no values.
    """

    def train(self, mode: bool = True) -> 'SteadyModule':
        """Stay in evaluation mode for any ``mode``: a score must not depend on it."""
        return super().train(False)

    @torch.inference_mode(False)  # autograd cannot use tensors made in inference mode
    def _apply(self, function: Callable[[Tensor], Tensor], *more: Any) -> 'SteadyModule':
        def move(tensor: Tensor) -> Tensor:
            moved = function(tensor)
            if moved.is_meta and not tensor.is_meta:
                raise OptionError(
                    "device is 'meta': there a metric has no weights; move it to 'cpu', 'cuda' or the like."
                )
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(move, *more)
