"""GPUs assigned to this training: those that CUDA_VISIBLE_DEVICES names, else all that NVIDIA's device plugin gave this container.

The device plugin puts their UUIDs into NVIDIA_VISIBLE_DEVICES; a program that divides the GPUs of a machine puts indexes or UUIDs into
CUDA_VISIBLE_DEVICES.
"""

import os

UUID_PREFIXES = ("GPU-", "MIG-")


def has_assigned_gpus() -> bool:
    """Whether GPUs were assigned to this training, working or not."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return visible.strip() not in ("", "-1")
    return os.environ.get("NVIDIA_VISIBLE_DEVICES", "").startswith(UUID_PREFIXES)


def gpu_id(local_rank: int) -> str:
    """Return the index in this container, or the UUID, of a process's GPU; empty if CUDA_VISIBLE_DEVICES names none for it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return str(local_rank) if visible is None else _element(visible, local_rank)


def gpu_name(local_rank: int) -> str:
    """Name the GPU of a process by its index in this container and, if known, its UUID: `0 (GPU-1b2c…)`."""
    gpu = gpu_id(local_rank)
    if not gpu.isdecimal():
        return gpu or str(local_rank)
    uuid = _element(os.environ.get("NVIDIA_VISIBLE_DEVICES", ""), int(gpu))
    return f"{gpu} ({uuid})" if uuid.startswith(UUID_PREFIXES) else gpu


def _element(devices: str, index: int) -> str:
    elements = devices.split(",")
    return elements[index].strip() if index < len(elements) else ""
