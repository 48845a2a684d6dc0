"""Exponential backoff with jitter between attempts. Pure but for the source of randomness."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

_MAX_DOUBLINGS = 60  # keeps the power finite


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double with each failure up to a maximum, partly random, so that clients do not retry in step.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Args:
        first: seconds after the first failure, at most.
        longest: seconds after any failure, at most.
        jitter: the random share of each delay; 0.5 is "equal jitter", 1 is "full jitter".
        random_number: returns numbers from 0 to 1.
    """

    first: float
    longest: float
    jitter: float = 0.5
    random_number: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def ceiling(self, failures: int) -> float:
        """Return the longest delay after so many failures in a row, counted from 1."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))

    def seconds(self, failures: int) -> float:
        """Return the delay after so many failures in a row: the ceiling less a random part of its jitter."""
        return self.ceiling(failures) * (1 - self.jitter * self.random_number())
