"""Exponential backoff with jitter between attempts. Pure but for the source of randomness."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import random

_MAX_DOUBLINGS = 60  # keeps the power finite


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double with each failure up to a maximum, with equal jitter, so that clients do not retry in step.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Args:
        first: seconds after the first failure, at most.
        longest: seconds after any failure, at most.
        jitter: returns numbers from 0 to 1.
    """

    first: float
    longest: float
    jitter: Callable[[], float] = field(default=random, repr=False, compare=False)

    def ceiling(self, failures: int) -> float:
        """Return the longest delay after so many failures in a row, counted from 1."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))

    def seconds(self, failures: int) -> float:
        """Return the delay after so many failures in a row: between half of `ceiling` and `ceiling`."""
        return self.ceiling(failures) * (1 + self.jitter()) / 2
