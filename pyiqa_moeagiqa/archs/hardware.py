"""Asks a device at run time what it is fast at: processors and accelerators differ by factors of a hundred."""

import torch

IMAGES_AT_ONCE = 32  # on an accelerator


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 if this device multiplies it in hardware, else float32: emulated bfloat16 is a hundred times slower."""
    if device.type == 'cuda':
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == 'cpu':
        return torch.bfloat16 if _has('_is_amx_tile_supported', '_is_avx512_bf16_supported') else torch.float32
    return torch.float32


def fused_attention_pays(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch's fused attention is faster than plain matrix products.

    It is slower in half precision on a processor without AMX: there its kernel computes in float32, and plain matrix
    products in bfloat16 (docs/performance.md has the figures).
    """
    return device.type != 'cpu' or dtype == torch.float32 or _has('_is_amx_tile_supported')


def images_at_once(device: torch.device | str | int) -> int:
    """How many images' crops share a batch.

    A processor takes one image at a time: its crops keep the processor busy, and no bit of its score depends on other images.
    """
    return 1 if torch.device(device).type == 'cpu' else IMAGES_AT_ONCE


def _has(*checks: str) -> bool:
    found = (getattr(torch.cpu, name, None) for name in checks)  # private names, which a later torch can lack
    return any(check is not None and check() for check in found)
