"""Renews the lock of a message while it is worked on."""

import asyncio

from vott_messaging.errors import LostMessageError, VottError
from vott_messaging.queues.base import Delivery, QueueSource


async def renew_lock(source: QueueSource, delivery: Delivery) -> None:
    """Renew until cancelled. Raises LostMessageError when the lock is lost."""
    loop = asyncio.get_running_loop()
    while True:
        expires = loop.time() + delivery.lock_seconds
        await asyncio.sleep(delivery.lock_seconds / 3)
        while True:
            try:
                await source.renew_lock(delivery)
                break
            except LostMessageError:
                raise
            except VottError as error:
                if loop.time() >= expires:
                    raise LostMessageError(str(error)) from None
                await asyncio.sleep(delivery.lock_seconds / 10)
