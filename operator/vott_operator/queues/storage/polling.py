"""How often to ask a service that can't be waited at: at once after something came, then ever more seldom."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
"""Of an idle queue: one request a second, and half a second's delay on average."""

T = TypeVar("T")


class Polling:
    """Remembers over the calls when to ask next. `clock` gives seconds."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._pause = 0.0
        self._next = 0.0

    async def wait_for(self, ask: Callable[[], Awaitable[Sequence[T]]], wait_seconds: float) -> Sequence[T]:
        """Ask until there is an answer that is not empty, or until `wait_seconds` are over. Asks once at least."""
        deadline = self._clock() + wait_seconds
        while True:
            await self._sleep(max(0.0, min(self._next, deadline) - self._clock()))
            answer = await ask()
            self._pause = 0.0 if answer else min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * self._pause))
            self._next = self._clock() + self._pause
            if answer or self._clock() >= deadline:
                return answer
