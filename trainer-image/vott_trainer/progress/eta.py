"""ETA: seconds left, from the mean speed so far."""

from dataclasses import dataclass

MIN_SECONDS = 5.0  # over a shorter time the speed is mostly noise


@dataclass(frozen=True)
class ProgressPoint:
    """A time (monotonic seconds) and the share of the training that was complete by then, 0 to 1."""

    seconds: float
    share: float


def seconds_left(start: ProgressPoint, now: ProgressPoint) -> float | None:
    """Return the remaining seconds; None while they are unknown.

    The mean speed since `start` is steady, and includes the pauses for evaluation. `start` is the end of the first step, which is
    slower than any other; in a resumed training its share is not near 0.
    """
    elapsed, done = now.seconds - start.seconds, now.share - start.share
    if elapsed < MIN_SECONDS or done <= 0:
        return None
    return elapsed / done * (1 - now.share)
