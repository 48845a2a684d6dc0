"""Retries of what concerns one message, with a backoff."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from vott_guard.backoff import Backoff
from vott_messaging.errors import LostMessageError, VottError
from vott_messaging.queues.base import Delivery

logger = logging.getLogger(__name__)

BACKOFF = Backoff(first=0.5, longest=15.0)

ResultT = TypeVar("ResultT")


async def until_reachable(delivery: Delivery, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Call until the queue is reachable. Raises LostMessageError."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return await call()
        except LostMessageError:
            raise
        except VottError as error:
            await wait_before_retry(delivery, attempt, str(error))


async def wait_before_retry(delivery: Delivery, attempt: int, cause: str) -> None:
    """Log why attempt number `attempt`, from 1, failed, and wait until the next is due."""
    delay = BACKOFF.seconds(attempt)
    logger.warning("message %r: %s; trying again in %.1f s", delivery.id, cause, delay)
    await asyncio.sleep(delay)
