"""Retries of what concerns one message, with a backoff."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from vott_guard.backoff import Backoff
from vott_guard.log_repeats import Repeats
from vott_messaging.errors import LostMessageError, VottError

logger = logging.getLogger(__name__)

BACKOFF = Backoff(first=0.5, longest=15.0)

ResultT = TypeVar("ResultT")


async def until_reachable(call: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Call until the queue is reachable. Raises LostMessageError."""
    retry = Retry()
    while True:
        try:
            return await call()
        except LostMessageError:
            raise
        except VottError as error:
            await retry.wait(str(error))


class Retry:
    """The pauses between the attempts of one call."""

    def __init__(self) -> None:
        self.attempt = 0
        """Attempts that have failed."""
        self._repeats = Repeats(asyncio.get_running_loop().time)

    async def wait(self, cause: str) -> None:
        """Log why an attempt failed, unless the last one failed so too, and wait until the next is due."""
        self.attempt += 1
        delay = BACKOFF.seconds(self.attempt)
        if self._repeats.is_news("", cause):
            logger.warning("%s; trying again in %.1f s", cause, delay)
        await asyncio.sleep(delay)
