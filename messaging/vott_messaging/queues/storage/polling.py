"""Polling interval of a queue without long polling: short after a message, then doubled up to a maximum."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

MIN_INTERVAL_SECONDS = 0.05
MAX_INTERVAL_SECONDS = 1.0
"""For an idle queue: one request a second, and a delay of half a second on average."""

T = TypeVar("T")


class Poller:
    """Polls with an adaptive interval, which it keeps between calls. `clock` returns seconds."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._interval = 0.0
        self._next_poll = 0.0

    async def poll(self, receive: Callable[[], Awaitable[Sequence[T]]], wait_seconds: float) -> Sequence[T]:
        """Call `receive` until it returns messages or `wait_seconds` are over; at least once."""
        deadline = self._clock() + wait_seconds
        while True:
            await self._sleep(max(0.0, min(self._next_poll, deadline) - self._clock()))
            messages = await receive()
            self._interval = (
                0.0 if messages else min(MAX_INTERVAL_SECONDS, max(MIN_INTERVAL_SECONDS, 2 * self._interval))
            )
            self._next_poll = self._clock() + self._interval
            if messages or self._clock() >= deadline:
                return messages
