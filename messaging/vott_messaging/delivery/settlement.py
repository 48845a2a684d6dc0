"""Work on a message that was received, beside the renewal of its lock, and then its completion or rejection.

A kill in between delivers the message again, so the work has to find what it did before.

While a service is unavailable, the message is kept and its lock renewed. Abandoning it would count as a failed delivery, and queues
dead-letter a message after several of those.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import TypeVar

from vott_guard.log_format import log_fields
from vott_messaging import reasons
from vott_messaging.delivery.message_lock import renew_lock
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.delivery.retries import Retry, until_reachable
from vott_messaging.errors import LostMessageError, MessageGivenBackError, MessageRejectedError, VottError
from vott_messaging.queues.base import Delivery, QueueSource

logger = logging.getLogger(__name__)

INTERNAL_ERROR_SECONDS = 600.0
"""How long to retry a message that makes the program fail before it is rejected: time to fix a cause that affects all messages."""
ABANDON_SECONDS = 3.0

ResultT = TypeVar("ResultT")
Work = Callable[[Delivery], Awaitable[ResultT]]


class Settlement:
    """Settles the messages of one queue, each after its work."""

    def __init__(self, source: QueueSource, rejection: Rejection, program: str) -> None:
        """`program` is what the sender of a message that makes it fail is told to look at, such as "operator"."""
        self._source = source
        self._rejection = rejection
        self._program = program

    async def settle(self, delivery: Delivery, work: Work[ResultT]) -> ResultT | None:
        """Do the work and complete the message, while another task renews its lock. The first to end cancels the other.

        Args:
            delivery: the message; abandoned if this call is cancelled.
            work: raises MessageRejectedError to have the message rejected, MessageGivenBackError to have it abandoned. After any other
                error it is called again. It is cancelled when the lock is lost or this call is cancelled, and the message is settled only
                after it has ended.

        Returns:
            What `work` returned. None if the message was rejected or given back, or its lock was lost: then the queue may deliver it again.
        """
        with log_fields(queue=self._source.identity, messageId=delivery.id):
            return await self._settle(delivery, work)

    async def _settle(self, delivery: Delivery, work: Work[ResultT]) -> ResultT | None:
        working = asyncio.create_task(self._work_and_settle(delivery, work))
        lock = asyncio.create_task(renew_lock(self._source, delivery))
        try:
            await asyncio.wait({working, lock}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _cancel(working, lock)
            await self._abandon(delivery)
            raise
        errors = await _cancel(working, lock)
        settled = not working.cancelled() and working.exception() is None
        for error in errors:
            if not isinstance(error, LostMessageError):
                raise error
            if not settled:  # else it was lost to the settlement itself, while it was being renewed
                logger.warning("%s; the queue will deliver it again", error)
        return working.result() if settled else None

    async def _abandon(self, delivery: Delivery) -> None:
        with suppress(VottError, TimeoutError):
            async with asyncio.timeout(ABANDON_SECONDS):
                await self._source.abandon(delivery)

    async def _work_and_settle(self, delivery: Delivery, work: Work[ResultT]) -> ResultT | None:
        try:
            result = await self._work(delivery, work)
        except MessageRejectedError as error:
            await self._rejection.reject(delivery, error)
            return None
        except MessageGivenBackError:
            await self._abandon(delivery)
            return None
        completed = await until_reachable(lambda: self._source.complete(delivery))
        return result if completed else None

    async def _work(self, delivery: Delivery, work: Work[ResultT]) -> ResultT:
        """Work until it succeeds. Raises MessageRejectedError, MessageGivenBackError or LostMessageError."""
        loop = asyncio.get_running_loop()
        retry, failing_since = Retry(), inf
        while True:
            try:
                return await work(delivery)
            except (MessageRejectedError, MessageGivenBackError, LostMessageError):
                raise
            except VottError as error:
                cause = str(error)
            except Exception as error:  # a bug must neither lose the message nor stop the others
                logger.exception("internal error")
                cause = "internal error"
                failing_since = min(failing_since, loop.time())
                if loop.time() - failing_since >= INTERNAL_ERROR_SECONDS:
                    text = f"The {self._program} failed {retry.attempt + 1} times at this message ({type(error).__name__}); see its log."
                    raise MessageRejectedError(reasons.INTERNAL_ERROR, text) from error
            await retry.wait(cause)


async def _cancel(*tasks: asyncio.Task[ResultT]) -> list[Exception]:
    """Cancel those that still run, and wait for them. Returns the errors of all."""
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return [result for result in results if isinstance(result, Exception)]
