"""A message whose lock is kept for as long as its training takes, and its settlement."""

import asyncio
import contextlib
import itertools
import logging
from typing import Self

from vott_messaging.delivery import backoff
from vott_messaging.delivery.message_lock import renew_lock
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.errors import LostMessageError, MessageRejectedError, SourceUnavailableError, VottError
from vott_messaging.queues.base import Delivery, QueueSource

logger = logging.getLogger(__name__)

ABANDON_SECONDS = 5.0


class HeldMessage:
    """One message from its delivery to its settlement. Use it as an async context manager, which renews the lock.

    If the lock is lost, the queue delivers the message again: `replace` takes over that delivery.
    """

    def __init__(self, source: QueueSource, rejection: Rejection, delivery: Delivery) -> None:
        self._source = source
        self._rejection = rejection
        self._delivery = delivery
        self._renewal: asyncio.Task[None] | None = None
        self.is_lost = False

    async def __aenter__(self) -> Self:
        self._renewal = asyncio.create_task(self._renew(), name=f"lock of message {self._delivery.id}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_renewal()

    async def replace(self, delivery: Delivery) -> None:
        """Hold this delivery of the message instead: the queue has given up the earlier one."""
        await self._stop_renewal()
        self._delivery, self.is_lost = delivery, False
        self._renewal = asyncio.create_task(self._renew(), name=f"lock of message {delivery.id}")
        logger.info("message %r was delivered again, and is held again", delivery.id)

    async def complete(self) -> bool:
        """Delete the message; try until the queue answers. False if the lock was lost, so that the message may come back."""
        for attempt in itertools.count(1):
            if self.is_lost:
                return False
            try:
                return await self._source.complete(self._delivery)
            except SourceUnavailableError as error:
                delay = backoff.MESSAGE_BACKOFF.seconds(attempt)
                logger.warning("message %r: %s; trying again in %.1f s", self._delivery.id, error, delay)
                await asyncio.sleep(delay)
        raise AssertionError

    async def reject(self, error: MessageRejectedError) -> bool:
        """Post `failed` to the error's callback, if it has one, and dead-letter the message. False if the lock was lost."""
        if self.is_lost:
            return False
        with contextlib.suppress(LostMessageError):
            await self._rejection.reject(self._delivery, error)
            return True
        return False

    async def give_back(self) -> None:
        """Unlock the message for the next receiver; the lock's expiry does it if the queue does not answer."""
        await self._stop_renewal()
        with contextlib.suppress(VottError, TimeoutError):
            async with asyncio.timeout(ABANDON_SECONDS):
                await self._source.abandon(self._delivery)

    async def _renew(self) -> None:
        try:
            await renew_lock(self._source, self._delivery)
        except LostMessageError as error:
            self.is_lost = True
            logger.warning("message %r: %s; the training goes on, and its outcome is remembered", self._delivery.id, error)

    async def _stop_renewal(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)
