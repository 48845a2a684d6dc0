"""When the outcome callback of a TrainingJob is retried: exponential backoff, or what Retry-After asks for."""

import asyncio
from typing import NamedTuple

from vott_guard.backoff import Backoff
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob

BACKOFF = Backoff(first=2.0, longest=600.0)
MAX_RETRY_SECONDS_WHILE_DELETING = 30.0


class _Attempts(NamedTuple):
    """The failed attempts for one TrainingJob; times are the event loop's."""

    uid: str
    number: int
    last: float
    next: float


class RetrySchedule:
    """The next attempt of each TrainingJob. Events and resyncs that enqueue it do not make it earlier."""

    def __init__(self, backoff: Backoff = BACKOFF) -> None:
        self._backoff = backoff
        self._attempts: dict[Key, _Attempts] = {}

    def remaining_seconds(self, trainingjob: TrainingJob) -> float:
        """Seconds until the next attempt; zero or less when it is due."""
        attempts = self._of(trainingjob)
        if attempts is None:
            return 0.0
        due = attempts.next
        if trainingjob.deleting:
            due = min(due, attempts.last + MAX_RETRY_SECONDS_WHILE_DELETING)
        return due - asyncio.get_running_loop().time()

    def postpone(self, trainingjob: TrainingJob, retry_after: float | None) -> float:
        """Count a failed attempt. Returns the seconds until the next."""
        previous = self._of(trainingjob)
        number = previous.number + 1 if previous else 1
        delay = retry_after or self._backoff.seconds(number)
        if trainingjob.deleting:
            delay = min(delay, MAX_RETRY_SECONDS_WHILE_DELETING)
        now = asyncio.get_running_loop().time()
        self._attempts[trainingjob.key] = _Attempts(trainingjob.metadata.uid, number, now, now + delay)
        return delay

    def forget(self, key: Key) -> None:
        """Forget the attempts for a TrainingJob."""
        self._attempts.pop(key, None)

    def _of(self, trainingjob: TrainingJob) -> _Attempts | None:
        attempts = self._attempts.get(trainingjob.key)
        return attempts if attempts is not None and attempts.uid == trainingjob.metadata.uid else None
