"""Trying again: how long to wait between attempts, and what an attempt says when it fails."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Sleep = Callable[[float], None]

PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class AttemptError(Exception):
    """An attempt failed; the text says why in a few words, without any URL's query.

    `passing` says whether a later attempt may succeed, `retry_after` how many seconds the server asked to wait.
    """

    def __init__(self, why: str, *, passing: bool, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.passing = passing
        self.retry_after = retry_after


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with jitter: `attempts` tries in all, waits in seconds."""

    attempts: int = 5
    first: float = 0.5
    longest: float = 15.0
    sleep: Sleep = time.sleep

    def waits(self) -> Iterator[float]:
        """Yield the wait after each failed attempt but the last."""
        for failed in range(self.attempts - 1):
            yield min(self.longest, self.first * 2**failed) * random.uniform(0.75, 1.25)  # noqa: S311 # nosec B311 # jitter, no secret


def retry(attempt: Callable[[], T], backoff: Backoff) -> T:
    """Return what `attempt` returns, trying again as long as its AttemptError is a passing one.

    Raises:
        AttemptError: that of the last attempt.
    """
    for wait in backoff.waits():
        try:
            return attempt()
        except AttemptError as error:
            if not error.passing:
                raise
            backoff.sleep(max(wait, error.retry_after))
    return attempt()
