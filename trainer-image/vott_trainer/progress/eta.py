"""When a training will end, from the speed it has had so far."""

from dataclasses import dataclass

LEAST_SECONDS = 5.0  # before that, the speed is mostly noise


@dataclass(frozen=True)
class Mark:
    """A moment (monotonic seconds) and the share of the training that was done by then (0 to 1)."""

    seconds: float
    share: float


def seconds_left(begun: Mark, now: Mark) -> float | None:
    """Return how long the rest will take; None as long as that is not known.

    The mean speed since `begun` does not jump: it takes in the pauses of evaluation as they come. `begun` is the end of the first
    step, which is slower than any other, and which in a resumed training is not at the beginning.
    """
    elapsed, done = now.seconds - begun.seconds, now.share - begun.share
    if elapsed < LEAST_SECONDS or done <= 0:
        return None
    return elapsed / done * (1 - now.share)
