"""How often a receiver gets a report: at most every two seconds, and less often if it asks for that, is slow or fails. Pure."""

from vott_guard.backoff import Backoff

SECONDS = 2.0
MAX_ASKED_SECONDS = 60.0
PAUSE_FACTOR = 4.0
"""Pause after a report, as a multiple of the time it took: a server that is slow is overloaded."""
BACKOFF = Backoff(first=2 * SECONDS, longest=60.0)
"""For a receiver that accepts no reports."""


class ReportInterval:
    """When the next report to one receiver is due. All times are seconds of one clock."""

    def __init__(self, seconds: float = SECONDS, backoff: Backoff = BACKOFF) -> None:
        """`seconds` is the shortest interval."""
        self.due = float("-inf")
        self._seconds = seconds
        self._backoff = backoff
        self._failures = 0

    def accepted(self, started: float, ended: float, asked: float | None = None) -> None:
        """A report was accepted. `asked` is the interval that the receiver asks for."""
        self._failures = 0
        self._due_after(started, ended, min(asked or 0.0, MAX_ASKED_SECONDS))

    def failed(self, started: float, ended: float, retry_after: float = 0.0) -> None:
        """A report was not accepted. `retry_after` is the pause that the receiver asks for."""
        self._failures += 1
        self._due_after(started, ended, max(self._backoff.seconds(self._failures), retry_after))

    def _due_after(self, started: float, ended: float, pause: float) -> None:
        self.due = ended + max(pause, self._seconds, PAUSE_FACTOR * (ended - started))
