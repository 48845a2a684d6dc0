"""Retries of an attempt that may fail for a while."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from vott_guard.backoff import Backoff

T = TypeVar("T")

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class AttemptError(Exception):
    """An attempt failed; the text is the cause in a few words, without any URL's query.

    `transient`: whether a later attempt may succeed. `retry_after`: how many seconds the server asked to wait.
    """

    def __init__(self, cause: str, *, transient: bool, retry_after: float = 0.0) -> None:
        super().__init__(cause)
        self.transient = transient
        self.retry_after = retry_after


@dataclass(frozen=True)
class RetryPolicy:
    """How often an attempt is made in all, and the delay after each one that failed."""

    attempts: int = 5
    backoff: Backoff = field(default=Backoff(first=0.5, longest=15.0))
    sleep: Callable[[float], None] = time.sleep


def retry(attempt: Callable[[], T], policy: RetryPolicy) -> T:
    """Return what `attempt` returns; repeat it after each transient AttemptError.

    Raises:
        AttemptError: that of the last attempt.
    """
    for failures in range(1, policy.attempts):
        try:
            return attempt()
        except AttemptError as error:
            if not error.transient:
                raise
            policy.sleep(max(policy.backoff.seconds(failures), error.retry_after))
    return attempt()
