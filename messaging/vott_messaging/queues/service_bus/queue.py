"""Azure Service Bus queue: receive messages in batches, renew their locks, complete, abandon or dead-letter them.

Messages are locked for the queue's lock duration (peek-lock) and are delivered again if they are not settled by then.
After the queue's maximum delivery count Service Bus itself dead-letters the message.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver

from vott_messaging.errors import LostMessageError
from vott_messaging.queues.base import Backlog, Delivery
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.service_bus.connection import CALL_SECONDS, Call, LockLostError, ServiceBusConnection
from vott_messaging.queues.service_bus.message import body_bytes, message_id, sequence, trace_context
from vott_messaging.settings.queue import QueueSettings

logger = logging.getLogger(__name__)

MAX_BATCH = 100
MAX_DESCRIPTION = 4096
"""Characters that Service Bus keeps of a dead-letter reason and of its description."""
IDLE_RECEIVE_SECONDS = 1.0
"""Longest single receive while no message is locked. It keeps the receiver from other calls."""
BUSY_RECEIVE_SECONDS = 0.2
"""The same while messages may need settling. The client reads its socket at this interval."""
BACKLOG_SECONDS = 0.02
"""A message that arrives this soon was waiting already."""
OFTEN = 5
"""Deliveries after which giving a message back is worth a warning: half of Service Bus' default maximum."""
MIN_LOCK_SECONDS = 1.0
"""Clock skew can make a lock seem shorter; renewing it must still leave a pause."""


class ServiceBusQueue:
    """A `QueueSource` over one existing queue, without sessions, of an Azure Service Bus namespace.

    Raises SettingsError when the credentials are incomplete or malformed.
    """

    def __init__(self, queue: QueueSettings, credentials: Credentials) -> None:
        self._connection = ServiceBusConnection(queue, credentials)
        self.identity = self._connection.identity
        self._lock_ends: dict[int, float] = {}
        self._has_backlog = False

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """See QueueSource. Takes at least 0.2 s when the queue is empty, and after a pause the time to reconnect."""
        deadline = _now() + wait_seconds
        while True:
            messages = await self._receive_for(min(limit, MAX_BATCH), deadline - _now())
            if messages or _now() >= deadline:
                return [self._delivery(message) for message in messages]

    async def _receive_for(self, limit: int, seconds_left: float) -> list[ServiceBusReceivedMessage]:
        async with self._connection.lock:
            longest = BUSY_RECEIVE_SECONDS if self._has_locked_messages() else IDLE_RECEIVE_SECONDS
            seconds = max(min(longest, seconds_left), BUSY_RECEIVE_SECONDS)
            return await self._connection.use(lambda receiver: self._receive_batch(receiver, limit, seconds))

    async def _receive_batch(
        self, receiver: ServiceBusReceiver, limit: int, seconds: float
    ) -> list[ServiceBusReceivedMessage]:
        """Receive one message, or several during a backlog.

        When asked for several, the client waits another 0.2 s after the first: good during a backlog, but too long for
        a single message.
        """
        started, self._connection.has_link_credit = _now(), True
        count = limit if self._has_backlog else 1
        messages = await (receiver.receive_messages(1, seconds) if count == 1 else _receive_several(receiver, count))
        self._connection.has_link_credit = is_short = len(messages) < count
        self._has_backlog = not is_short and (count > 1 or _now() - started < BACKLOG_SECONDS)
        return messages

    def _delivery(self, message: ServiceBusReceivedMessage) -> Delivery:
        delivery = Delivery(
            id=message_id(message),
            body=body_bytes(message),
            attempt=(message.delivery_count or 0) + 1,
            lock_seconds=_lock_seconds(message),
            handle=message,
            sequence=sequence(message),
            enqueued=message.enqueued_time_utc,
            traceparent=trace_context(message),
        )
        self._lock_ends[id(message)] = _now() + delivery.lock_seconds
        return delivery

    async def backlog(self) -> Backlog:
        """See QueueSource. The number of messages is unknown: reading it needs the Manage right."""
        oldest = await self._connection.run_to_completion(lambda receiver: receiver.peek_messages(1))
        return Backlog(None, oldest[0].enqueued_time_utc if oldest else None)

    async def complete(self, delivery: Delivery) -> bool:
        """See QueueSource."""
        return await self._settle(delivery, lambda receiver: receiver.complete_message(delivery.handle))

    async def dead_letter(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource. Sets the dead-letter reason and description."""
        text = message if len(message) <= MAX_DESCRIPTION else message[: MAX_DESCRIPTION - 1] + "…"
        await self._settle(delivery, lambda receiver: receiver.dead_letter_message(delivery.handle, reason, text))

    async def abandon(self, delivery: Delivery) -> None:
        """See QueueSource. Counts towards the queue's maximum delivery count."""
        if delivery.attempt >= OFTEN:
            logger.warning(
                "the message goes back to the queue after its delivery number %d. Service Bus dead-letters it, and tells no callback, when that"
                " reaches the queue's maximum delivery count (default 10): raise it (docs/traind.md#service-bus)",
                delivery.attempt,
            )
        await self._settle(delivery, lambda receiver: receiver.abandon_message(delivery.handle))

    async def renew_lock(self, delivery: Delivery) -> None:
        """See QueueSource."""
        try:
            await self._connection.run_to_completion(
                lambda receiver: receiver.renew_message_lock(delivery.handle, timeout=CALL_SECONDS)
            )
        except LockLostError:
            self._lock_ends.pop(id(delivery.handle), None)
            raise LostMessageError(f"{self.identity}: the lock on message {delivery.id} was lost") from None
        self._lock_ends[id(delivery.handle)] = _now() + delivery.lock_seconds

    async def pause(self) -> None:
        """See QueueSource. Closes a receiver with unused link credit: the service may still push messages to it."""
        async with self._connection.lock:
            if self._connection.has_link_credit:
                await self._connection.close()

    async def close(self) -> None:
        """See QueueSource. Never raises."""
        async with self._connection.lock:
            await self._connection.close()

    async def _settle(self, delivery: Delivery, call: Call[None]) -> bool:
        """Settle the message. False when its lock was lost."""
        try:
            await self._connection.run_to_completion(call)
        except LockLostError:
            # Received again meanwhile; that receiver finds the training and completes the message.
            logger.info("the lock was lost, another receiver settles the message")
            return False
        finally:
            self._lock_ends.pop(id(delivery.handle), None)
        return True

    def _has_locked_messages(self) -> bool:
        now = _now()
        self._lock_ends = {key: end for key, end in self._lock_ends.items() if end > now}
        return bool(self._lock_ends)


async def _receive_several(receiver: ServiceBusReceiver, limit: int) -> list[ServiceBusReceivedMessage]:
    """Receive up to `limit` messages. When cancelled, abandon those that arrive rather than leave them locked."""
    receiving = asyncio.ensure_future(receiver.receive_messages(limit, BUSY_RECEIVE_SECONDS))
    try:
        return await asyncio.shield(receiving)
    except asyncio.CancelledError:
        with suppress(AzureError):
            for message in await receiving:
                await receiver.abandon_message(message)
        raise


def _lock_seconds(message: ServiceBusReceivedMessage) -> float:
    end = message.locked_until_utc
    left = (end - datetime.now(UTC)).total_seconds() if end else 0.0
    return max(MIN_LOCK_SECONDS, left)


def _now() -> float:
    return asyncio.get_running_loop().time()
