"""The device of a process: its GPU, or the CPU."""

import ctypes
import os
import platform

import torch

from vott_trainer.errors import GPUError
from vott_trainer.learning.worker_threads import worker_threads
from vott_trainer.plugin_api import Ranks
from vott_trainer.process.gpu_assignment import has_assigned_gpus

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h
INT_MAX = 2**31 - 1


def prepare(ranks: Ranks) -> torch.device:
    """Return this process's GPU if there are any, else the CPU with its share of threads.

    Raises:
        GPUError: the container has fewer GPUs than processes.
    """
    torch.set_flush_denormal(True)  # denormal numbers are slow on a CPU
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(worker_threads(ranks))
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count and not has_assigned_gpus():
        _keep_freed_memory()
        return torch.device("cpu")
    if count < ranks.local_world_size:
        raise GPUError(
            f"This pod sees {count} of its {ranks.local_world_size} GPUs. See the node's Xid messages (`dmesg | grep Xid`) "
            "and its device plugin, and take the node out of service (`kubectl cordon`)."
        )
    torch.cuda.set_device(ranks.local_rank)
    return torch.device("cuda", ranks.local_rank)


def name(device: torch.device) -> str:
    """Return the device's name for the report."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def _keep_freed_memory() -> None:
    """Make glibc reuse the memory of freed tensors, not return it to the kernel.

    It maps each large block anew, so that a training step on a CPU spent a fifth of its time in page faults. A higher `M_MMAP_THRESHOLD`
    would not do: glibc takes no more than 32 MiB.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, INT_MAX)
