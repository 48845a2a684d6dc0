"""Memory and utilization of this training's first GPU, read with NVML.

NVML ignores CUDA_VISIBLE_DEVICES. Its indexes are CUDA's if CUDA_DEVICE_ORDER=PCI_BUS_ID, or all GPUs are of one model.
"""

import contextlib
from dataclasses import dataclass

import pynvml

from vott_trainer.process.gpu_assignment import gpu_id


@dataclass(frozen=True)
class GPUUsage:
    """Memory in MiB of all processes on the GPU; utilization in percent, None if the GPU does not report it (MIG)."""

    memory_mib: int
    utilization_percent: int | None


def gpu_usage() -> GPUUsage | None:
    """Return the current usage; None without a GPU or without NVML."""
    with contextlib.suppress(Exception):  # for information only: it must not fail a report
        pynvml.nvmlInit()
        try:
            handle = _handle(gpu_id(0))
            return GPUUsage(int(pynvml.nvmlDeviceGetMemoryInfo(handle).used) >> 20, _utilization(handle))
        finally:
            pynvml.nvmlShutdown()
    return None


def _handle(gpu: str) -> object:
    if gpu.isdecimal():
        return pynvml.nvmlDeviceGetHandleByIndex(int(gpu))
    return pynvml.nvmlDeviceGetHandleByUUID(gpu)


def _utilization(handle: object) -> int | None:
    with contextlib.suppress(pynvml.NVMLError):
        return int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    return None
