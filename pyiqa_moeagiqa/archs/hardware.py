"""What a device is fast at, asked of it at run time: processors and accelerators differ by factors of a hundred."""

import torch

IMAGES_AT_ONCE = 32  # on an accelerator


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where this device multiplies it in hardware, else float32 (emulated, it is a hundred times slower)."""
    if device.type == 'cuda':
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == 'cpu':
        return torch.bfloat16 if _has('_is_amx_tile_supported', '_is_avx512_bf16_supported') else torch.float32
    return torch.float32


def fused_attention_pays(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch's fused attention is the faster one; in half precision on a processor without AMX it is not.

    There its kernel computes in float32 what plain matrix products compute in bfloat16 (docs/performance.md has the
    figures).
    """
    return device.type != 'cpu' or dtype == torch.float32 or _has('_is_amx_tile_supported')


def images_at_once(device: torch.device | str | int) -> int:
    """How many images' crops share a batch.

    On a processor one: an image's crops keep it busy, and so no bit of a score depends on what else is scored.
    """
    return 1 if torch.device(device).type == 'cpu' else IMAGES_AT_ONCE


def _has(*checks: str) -> bool:
    found = (getattr(torch.cpu, name, None) for name in checks)  # private names, which a later torch may not have
    return any(check is not None and check() for check in found)
