"""The loop that receives from one queue."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from vott_guard.backoff import Backoff
from vott_guard.log_format import log_fields
from vott_guard.log_repeats import Repeats
from vott_messaging.errors import VottError

logger = logging.getLogger(__name__)

BACKOFF = Backoff(first=1.0, longest=15.0)
FAILURES_UNTIL_OUT_OF_ORDER = 5
"""Failures in a row, in about 15 seconds: a connection that breaks now and then is usual."""


async def receive_until_cancelled(
    identity: str, receive: Callable[[], Awaitable[object]], report: Callable[[str], None] = lambda _: None
) -> NoReturn:
    """Call `receive` again and again; after an error with a backoff, because one queue must not stop the others.

    `identity` is the queue's, see `QueueSource`. `report` is called with the cause while the queue is out of order, and with an empty
    text while it is not.
    """
    failures, repeats = 0, Repeats(asyncio.get_running_loop().time)
    with log_fields(queue=identity):
        while True:
            try:
                await receive()
                failures = 0
                report("")
                if repeats.end(identity):
                    logger.info("messages are received again")
            except Exception as error:
                failures += 1
                delay = BACKOFF.seconds(failures)
                expected = isinstance(error, VottError)
                text = str(error) if expected else f"{identity}: internal error"
                if failures >= FAILURES_UNTIL_OUT_OF_ORDER:
                    report(text)
                if repeats.is_news(identity, text):
                    logger.warning("%s; trying again in %.1f s", text, delay, exc_info=None if expected else error)
                await asyncio.sleep(delay)
