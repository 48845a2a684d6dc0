"""GPUs that NVIDIA's device plugin assigned to this container: their UUIDs in NVIDIA_VISIBLE_DEVICES."""

import os

UUID_PREFIXES = ("GPU-", "MIG-")


def has_assigned_gpus() -> bool:
    """Whether the device plugin assigned GPUs to this container, working or not."""
    return os.environ.get("NVIDIA_VISIBLE_DEVICES", "").startswith(UUID_PREFIXES)


def gpu_name(local_rank: int) -> str:
    """Name the GPU of a process by its index in this pod and, if known, its UUID: `0 (GPU-1b2c…)`."""
    uuids = os.environ.get("NVIDIA_VISIBLE_DEVICES", "").split(",")
    uuid = uuids[local_rank] if local_rank < len(uuids) else ""
    return f"{local_rank} ({uuid})" if uuid.startswith(UUID_PREFIXES) else str(local_rank)
