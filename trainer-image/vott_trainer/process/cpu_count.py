"""Number of CPUs that this container may use: the cgroup's limit. torch counts the node's CPUs instead."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cpus(cgroup: Path = CGROUP) -> int:
    """Return how many threads are worth starting: the CPU limit, rounded up, or all CPUs of the affinity mask."""
    return max(1, min(len(os.sched_getaffinity(0)), math.ceil(_limit(cgroup))))


def _limit(cgroup: Path) -> float:
    """Return the limit of cgroup v2, else of v1, else the node's number of CPUs."""
    for quota, period in (_v2(cgroup), _v1(cgroup)):
        if quota > 0 and period > 0:
            return quota / period
    return float(os.cpu_count() or 1)


def _v2(cgroup: Path) -> tuple[int, int]:
    fields = _read(cgroup / "cpu.max").split()
    return (int(fields[0]), int(fields[1])) if len(fields) == 2 and fields[0].isdecimal() else (0, 0)


def _v1(cgroup: Path) -> tuple[int, int]:
    quota, period = _read(cgroup / "cpu/cpu.cfs_quota_us"), _read(cgroup / "cpu/cpu.cfs_period_us")
    return (int(quota), int(period)) if quota.isdecimal() and period.isdecimal() else (0, 0)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
