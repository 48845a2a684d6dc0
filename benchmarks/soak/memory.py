"""Resident memory of a process over time, and whether it grows."""

import os
import statistics
from dataclasses import dataclass, field
from pathlib import Path

ALLOWED_GROWTH = 0.1
"""Of the median of the last quarter over that of the second; the first quarter warms up."""


@dataclass
class MemorySamples:
    """Samples in MiB, oldest first."""

    samples: list[float] = field(default_factory=list)

    def add(self, pid: int) -> None:
        """Sample a process (proc(5): the second field of statm, in pages)."""
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        self.samples.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)

    @property
    def growth(self) -> float:
        """Relative growth from the second quarter to the last one. Needs at least four samples."""
        quarter = len(self.samples) // 4
        before, after = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        return statistics.median(after) / statistics.median(before) - 1
