"""A message that can't become a training: post `failed` to its callback, then dead-letter it."""

import asyncio
import logging

from vott_guard.log_format import fields
from vott_messaging import names
from vott_messaging.callbacks.host_limits import Attempt
from vott_messaging.callbacks.payload import payload
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.delivery import retries
from vott_messaging.errors import CallbackError, MessageRejectedError, PostponedError
from vott_messaging.queues.base import Delivery, QueueSource

logger = logging.getLogger(__name__)

ATTEMPTS = (Attempt.FIRST, Attempt.LAST)
WAIT_SECONDS = 5.0
"""How long an attempt waits for its turn."""
CALLBACK_SECONDS = 20.0
"""For all attempts: until they end, the message counts as in flight."""


class Rejection:
    """Rejects messages of one queue."""

    def __init__(self, source: QueueSource, callbacks: CallbackSender) -> None:
        self._source = source
        self._callbacks = callbacks

    async def reject(self, delivery: Delivery, error: MessageRejectedError) -> None:
        """Post the callback, then dead-letter; retry that until the queue is reachable. Raises LostMessageError."""
        logger.warning("message rejected: %s", error, extra=fields(reason=error.reason))
        # The callback first: a kill in between posts it twice rather than never.
        await self._post_callback(delivery, error)
        await retries.until_reachable(lambda: self._source.dead_letter(delivery, error.reason, str(error)))

    async def _post_callback(self, delivery: Delivery, error: MessageRejectedError) -> None:
        if error.status_url is None:
            return
        try:
            async with asyncio.timeout(CALLBACK_SECONDS):
                await self._try_to_post(delivery, error.status_url, str(error))
        except TimeoutError:
            logger.warning("callback not delivered within %.0f s", CALLBACK_SECONDS)

    async def _try_to_post(self, delivery: Delivery, url: str, message: str) -> None:
        name = names.training(self._source.identity, delivery.id, delivery.sequence)
        body = payload(name, "failed", message, None)
        for number, attempt in enumerate(ATTEMPTS, start=1):
            try:
                await self._callbacks.send(url, names.webhook_id(name, "failed"), body, attempt, WAIT_SECONDS)
                break
            except PostponedError:  # the last attempt does not wait for the host's circuit
                continue
            except CallbackError as error:
                logger.warning("callback not delivered: %s", error)
                if error.permanent or attempt is Attempt.LAST:
                    break
                delay = error.retry_after or retries.BACKOFF.seconds(number)
                await asyncio.sleep(min(delay, retries.BACKOFF.longest))
