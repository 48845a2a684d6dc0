"""A work queue of keys for level-triggered reconciling: each key at most once in line, never twice at the same time.

kopf runs handlers an event at a time and retries none of the raw-event ones; what a reconciler needs beside that is here:
merging of events that come while a key waits, delays, and backoff after failures.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

KeyT = TypeVar("KeyT", bound=Hashable)
Work = Callable[[KeyT], Awaitable[float | None]]

FIRST_BACKOFF_SECONDS = 0.2
MAX_BACKOFF_SECONDS = 60.0


class WorkQueue(Generic[KeyT]):
    """Keys waiting to be worked on by `work`, which may return a delay in seconds after which it wants to see the key again."""

    def __init__(
        self, work: Work[KeyT], *, workers: int, expected: type[Exception] | tuple[type[Exception], ...] = ()
    ) -> None:
        """`expected` errors say all in their text; others are logged with their traceback."""
        self._work = work
        self._expected = expected
        self._workers = workers
        self._ready: asyncio.Queue[KeyT] = asyncio.Queue()
        self._waiting: set[KeyT] = set()
        self._active: set[KeyT] = set()
        self._again: set[KeyT] = set()
        self._failures: dict[KeyT, int] = {}
        self._timers: dict[KeyT, asyncio.TimerHandle] = {}

    def add(self, key: KeyT) -> None:
        """Have `key` worked on as soon as possible; if it is being worked on now, once more afterwards."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: KeyT, seconds: float) -> None:
        """Have `key` worked on in `seconds`, unless `add` comes first."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._worker())
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _worker(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._active.add(key)
            try:
                delay = await self._attempt(key)
            finally:
                self._active.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            elif delay is not None:
                self.add_after(key, delay)

    async def _attempt(self, key: KeyT) -> float | None:
        try:
            delay = await self._work(key)
        except Exception as error:  # one key's trouble must not stop the others
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            backoff = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 12))
            text = str(error) or type(error).__name__
            logger.warning(
                "%s: %s; trying again in %.1f s", key, text, backoff, exc_info=not isinstance(error, self._expected)
            )
            return backoff
        self._failures.pop(key, None)
        return delay
