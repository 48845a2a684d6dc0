"""A work queue for level-triggered reconciling: a key waits at most once and is never processed by two workers at a time.

kopf runs raw-event handlers one event at a time and never retries them. This queue adds the rest: events that arrive while a
key waits are merged, work can ask for a delay, and errors are retried with a backoff.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from vott_guard.backoff import Backoff
from vott_guard.log_format import log_fields
from vott_guard.log_repeats import Repeats
from vott_operator import metrics

logger = logging.getLogger(__name__)

KeyT = TypeVar("KeyT", bound=Hashable)
Work = Callable[[KeyT], Awaitable[float | None]]
"""Processes one key; returns the seconds after which to process it again, or None."""

BACKOFF = Backoff(first=0.2, longest=60.0)
OUTAGE = "outage"


class GivenUpError(Exception):
    """Raised by work that can't succeed now: the key is not processed again until it is added again."""


class WorkQueue(Generic[KeyT]):
    """Keys to process."""

    def __init__(
        self,
        name: str,
        *,
        log_field: str = "trainingJob",
        workers: int | None = None,
        expected: type[Exception] | tuple[type[Exception], ...] = (),
        outage: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> None:
        """At most `workers` keys are processed at a time; None: any number, because the work itself waits for its turn.

        `expected` errors are logged by their text, all others with a traceback; an `outage`, which all keys meet, once for all of them.
        `name` is the queue's in the metrics; `log_field` has the key in the log.
        """
        self._log_field = log_field
        self._depth = metrics.WORKQUEUE_DEPTH.labels(name)
        self._waits = metrics.WORKQUEUE_WAIT.labels(name)
        self._passes = metrics.WORKQUEUE_WORK.labels(name)
        self._errors = metrics.WORKQUEUE_ERRORS.labels(name)
        self._expected = expected
        self._outage = outage
        self._workers = workers
        self._ready: asyncio.Queue[KeyT] = asyncio.Queue()
        self._waiting: dict[KeyT, float] = {}
        """Since when each key waits."""
        self._active: set[KeyT] = set()
        self._again: set[KeyT] = set()
        """Active keys that were added meanwhile."""
        self._failures: dict[KeyT, int] = {}
        self._timers: dict[KeyT, asyncio.TimerHandle] = {}
        self._repeats = Repeats()

    def add(self, key: KeyT) -> None:
        """Process `key` as soon as possible; if it is being processed, once more afterwards."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = time.monotonic()
            self._ready.put_nowait(key)
            self._depth.set(len(self._waiting))

    def add_after(self, key: KeyT, seconds: float) -> None:
        """Process `key` in `seconds`, or when `add` is called first."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    async def run(self, work: Work[KeyT]) -> None:
        """Process keys until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                if self._workers is None:
                    while True:
                        group.create_task(self._process(work, await self._next()))
                for _ in range(self._workers):
                    group.create_task(self._worker(work))
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _worker(self, work: Work[KeyT]) -> None:
        while True:
            await self._process(work, await self._next())

    async def _next(self) -> KeyT:
        """The next key, after everything else had its turn: thousands of passes that wait for nothing would hold up the Lease and the probes."""
        await asyncio.sleep(0)
        return await self._ready.get()

    async def _process(self, work: Work[KeyT], key: KeyT) -> None:
        self._waits.observe(time.monotonic() - self._waiting.pop(key))
        self._depth.set(len(self._waiting))
        self._active.add(key)
        try:
            with self._passes.time():
                delay = await self._attempt(work, key)
        finally:
            self._active.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        elif delay is not None:
            self.add_after(key, delay)

    async def _attempt(self, work: Work[KeyT], key: KeyT) -> float | None:
        with log_fields(**{self._log_field: key}):
            try:
                delay = await work(key)
            except GivenUpError:
                self._failures.pop(key, None)
                self._repeats.end(key)
                return None
            except Exception as error:  # an error with one key must not stop the others
                self._errors.inc()
                return self._failed(key, error)
            self._failures.pop(key, None)
            if self._repeats.end(key):
                logger.info("succeeded after it had failed")
            return delay

    def _failed(self, key: KeyT, error: Exception) -> float:
        """Log the error unless it is the last one again. Returns the seconds until the next attempt."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = BACKOFF.seconds(failures)
        text = str(error) or type(error).__name__
        is_outage = isinstance(error, self._outage)
        if self._repeats.is_news(*((OUTAGE, "") if is_outage else (key, text))):
            unexpected = not isinstance(error, self._expected)
            logger.warning("%s; trying again in %.1f s", text, delay, exc_info=unexpected)
        return delay
