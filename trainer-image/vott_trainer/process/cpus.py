"""How many CPUs this container may use; torch would count the node's."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available(cgroup: Path = CGROUP) -> int:
    """Return the number of threads worth starting: the CPU limit if there is one, else all CPUs we may run on."""
    return max(1, min(len(os.sched_getaffinity(0)), math.ceil(_limit(cgroup))))


def _limit(cgroup: Path) -> float:
    """Return the limit in CPUs (cgroup v2, then v1), infinite-like if there is none."""
    for quota, period in (_v2(cgroup), _v1(cgroup)):
        if quota > 0 and period > 0:
            return quota / period
    return float(os.cpu_count() or 1)


def _v2(cgroup: Path) -> tuple[int, int]:
    words = _read(cgroup / "cpu.max").split()
    return (int(words[0]), int(words[1])) if len(words) == 2 and words[0].isdecimal() else (0, 0)


def _v1(cgroup: Path) -> tuple[int, int]:
    quota, period = _read(cgroup / "cpu/cpu.cfs_quota_us"), _read(cgroup / "cpu/cpu.cfs_period_us")
    return (int(quota), int(period)) if quota.isdecimal() and period.isdecimal() else (0, 0)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
