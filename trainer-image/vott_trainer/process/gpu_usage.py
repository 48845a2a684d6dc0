"""Memory and utilization of this pod's first GPU, read with NVML."""

import contextlib
from dataclasses import dataclass

import pynvml


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
            handle = pynvml.nvmlDeviceGetHandleByIndex(0)
            return GPUUsage(int(pynvml.nvmlDeviceGetMemoryInfo(handle).used) >> 20, _utilization(handle))
        finally:
            pynvml.nvmlShutdown()
    return None


def _utilization(handle: object) -> int | None:
    with contextlib.suppress(pynvml.NVMLError):
        return int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    return None
