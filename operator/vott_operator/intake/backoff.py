"""Delays between attempts at one message."""

MAX_BACKOFF_SECONDS = 15.0


def backoff_seconds(attempt: int) -> float:
    """Seconds to wait after this attempt, counted from 1."""
    return min(MAX_BACKOFF_SECONDS, 0.5 * 2.0 ** min(attempt - 1, 10))
