"""CPU time of a process."""

import os
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """CPU time of the process so far (proc(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
