"""How busy this pod's first GPU is, as NVIDIA's management library tells it; nothing where there is none."""

import contextlib
from dataclasses import dataclass

import pynvml


@dataclass(frozen=True)
class Usage:
    """Memory in MiB, of all processes on that GPU; utilization in percent, None where the GPU does not tell it (MIG slices)."""

    memory_mib: int
    utilization_percent: int | None


def usage() -> Usage | None:
    """Return the present usage; None without a GPU, or where it does not tell. A container sees only its own ones."""
    with contextlib.suppress(Exception):  # a figure for people: it must not fail a report
        pynvml.nvmlInit()
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(0)
            return Usage(int(pynvml.nvmlDeviceGetMemoryInfo(handle).used) >> 20, _utilization(handle))
        finally:
            pynvml.nvmlShutdown()
    return None


def _utilization(handle: object) -> int | None:
    with contextlib.suppress(pynvml.NVMLError):
        return int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    return None
