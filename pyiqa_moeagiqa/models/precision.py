"""Automatic mixed precision: bfloat16 where the hardware supports it, float16 with a scaled loss on other GPUs; and TF32."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from ..archs.hardware import fast_dtype
from ..options import OptionError

TYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


class Precision:
    """The number type in which a training step computes, and the gradient scaler that float16 needs.

    Args:
        amp: the option: false, true (the type that this device is fast at), 'bfloat16' or 'float16'.
        device: where training runs.
        matmul: how exact matrix products in float32 are in a step, as ``torch.set_float32_matmul_precision`` takes it.

    Raises:
        OptionError: for float16 on a processor, where the loss is not scaled.
    """

    def __init__(self, amp: bool | str, device: torch.device, matmul: str = 'highest'):
        self.device, self.dtype, self.matmul = device, self._choose(amp, device), matmul
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)

    @staticmethod
    def _choose(amp: bool | str, device: torch.device) -> torch.dtype:
        if amp is False:
            return torch.float32
        if amp is True:
            fast = fast_dtype(device)
            return torch.float16 if fast == torch.float32 and device.type == 'cuda' else fast
        if amp == 'float16' and device.type == 'cpu':
            raise OptionError("train option amp is 'float16': on a processor it must be true, false or 'bfloat16'.")
        return TYPES[amp]

    def autocast(self) -> Any:
        """The context in which losses are computed."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    @contextmanager
    def products(self) -> Iterator[None]:
        """The context of a whole step, with its gradients: torch's setting holds for all of a process, so it is put back."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(self.matmul)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
