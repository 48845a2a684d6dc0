"""Recognize errors of a full disk."""

import re

from vott_trainer.errors import DiskFullError, first_line

DISK_FULL_TEXTS = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)


def as_disk_full(error: Exception) -> DiskFullError | None:
    """Return the DiskFullError for a full disk; None for any other error."""
    text = str(error)  # not errno: torch raises RuntimeError
    if not DISK_FULL_TEXTS.search(text):
        return None
    return DiskFullError(
        f"The disk is full: {first_line(error)}. Train with fewer or smaller images, or have the administrator give trainings "
        "more space (`trainer.workVolume` in the chart's values, or a larger disk)."
    )
