"""The progress interval: a receiver gets at most one report every two seconds, except at the end of an epoch."""

import time

SECONDS = 2.0


class ReportInterval:
    """Time until a receiver's next report is due."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._last = float("-inf")

    def restart(self) -> None:
        """Count from now: a report is sent."""
        self._last = time.monotonic()

    def remaining_seconds(self) -> float:
        """Return how long to wait before the next report."""
        return max(0.0, self._last + self._seconds - time.monotonic())
