"""Mixed precision: bfloat16 or float16 where a GPU computes it in hardware, with loss scaling for float16."""

import torch

VOLTA = 7  # compute capability with fast float16


def precision(device: torch.device) -> torch.dtype:
    """Return the type that autocast computes in."""
    if device.type != "cuda":
        return torch.float32
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16 if torch.cuda.get_device_capability(device)[0] >= VOLTA else torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """Return the context to compute losses in."""
    dtype = precision(device)
    return torch.autocast(device.type, dtype, enabled=dtype is not torch.float32)


def grad_scaler(device: torch.device) -> torch.GradScaler:
    """Return the loss scaler; it does nothing unless the precision is float16."""
    return torch.GradScaler(device.type, enabled=precision(device) is torch.float16)
