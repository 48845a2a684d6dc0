"""Dead letters of an Azure Service Bus queue: list, requeue and purge the messages of its dead-letter sub-queue.

A message can only be selected by receiving it, which locks it. So all messages are received in turn, and those that were
not requested are abandoned at the end; if the command is killed, their locks expire.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC
from typing import Any

from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import AutoLockRenewer, ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from vott_messaging.messages.decoding import as_text
from vott_messaging.queues.base import DeadLetter
from vott_messaging.queues.connection import Connection
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.service_bus.authentication import service_bus_client
from vott_messaging.queues.service_bus.errors import service_bus_errors
from vott_messaging.queues.service_bus.message import body_bytes, message_id, requeued_id
from vott_messaging.settings.queue import QueueSettings

MAX_COUNTED = 1000
"""Counts stop here: reading the real count needs the Manage right, so messages are counted by browsing."""
MAX_BATCH = 100
WAIT_SECONDS = 5
"""How long to wait for a message that exists but may be locked by another receiver."""
MAX_RENEWAL_SECONDS = 1800
"""How long message locks are renewed."""
DEAD_LETTER_PROPERTIES = ("DeadLetterReason", "DeadLetterErrorDescription")
"""https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues"""

Action = Callable[[ServiceBusReceivedMessage], Awaitable[None]]

OPTIONS: dict[str, Any] = {"retry_total": 1, "retry_backoff_factor": 0.5}
"""Fail fast: an administrator waits for the command."""


class ServiceBusDeadLetters:
    """`DeadLetters` of one Azure Service Bus queue. Their ids are sequence numbers."""

    def __init__(self, queue: QueueSettings, credentials: Credentials) -> None:
        self.identity = f"{queue.name}/$DeadLetterQueue"
        self._name = queue.name
        self._place = queue.place
        self._credentials = credentials
        self._client: Connection[ServiceBusClient] = Connection(
            lambda: service_bus_client(queue, credentials, **OPTIONS),
            lambda client: client.close(),
            credentials.fingerprint,
        )

    async def count(self) -> int | None:
        """See DeadLetters. MAX_COUNTED means that many or more."""
        return len([message async for message in self._browse(ServiceBusSubQueue.DEAD_LETTER, MAX_COUNTED)])

    async def waiting(self) -> int | None:
        """See DeadLetters. MAX_COUNTED means that many or more."""
        return len([message async for message in self._browse(None, MAX_COUNTED)])

    async def peek(self, limit: int) -> Sequence[DeadLetter]:
        """See DeadLetters."""
        return [_dead_letter(message) async for message in self._browse(ServiceBusSubQueue.DEAD_LETTER, limit)]

    async def requeue(self, ids: Collection[str] | None) -> Sequence[str]:
        """See DeadLetters. The new message id derives from the old one, so a repeated requeue makes no second training."""
        client = await self._client.client()
        with service_bus_errors(self._place, self._credentials):
            async with client.get_queue_sender(self._name) as sender:
                return await self._process(ids, lambda message: sender.send_messages(_copy(message)))

    async def purge(self, ids: Collection[str] | None) -> Sequence[str]:
        """See DeadLetters."""

        async def do_nothing(_message: ServiceBusReceivedMessage) -> None:
            """Completing the message is enough."""

        return await self._process(ids, do_nothing)

    async def close(self) -> None:
        """See DeadLetters."""
        await self._client.close()

    async def _browse(
        self, sub_queue: ServiceBusSubQueue | None, limit: float = math.inf
    ) -> AsyncIterator[ServiceBusReceivedMessage]:
        """The oldest `limit` messages, locked ones included; locks none."""
        async with self._receiver(sub_queue) as receiver:
            next_number = 1
            while limit > 0:
                page = await receiver.peek_messages(int(min(limit, MAX_BATCH)), sequence_number=next_number)
                if not page:
                    return
                for message in page:
                    yield message
                next_number, limit = (page[-1].sequence_number or 0) + 1, limit - len(page)

    async def _process(self, ids: Collection[str] | None, action: Action) -> Sequence[str]:
        """Apply `action` to each of `ids`, then complete it."""
        existing = {_id(message) async for message in self._browse(ServiceBusSubQueue.DEAD_LETTER)}
        # Only what exists now: a requeued message may be dead-lettered again before this ends.
        requested = existing if ids is None else existing.intersection(ids)
        if not requested:
            return []
        async with (
            AutoLockRenewer(MAX_RENEWAL_SECONDS) as renewer,
            self._receiver(ServiceBusSubQueue.DEAD_LETTER, renewer) as receiver,
        ):
            return await _process_received(receiver, requested, action)

    @asynccontextmanager
    async def _receiver(
        self, sub_queue: ServiceBusSubQueue | None, renewer: AutoLockRenewer | None = None
    ) -> AsyncIterator[ServiceBusReceiver]:
        client = await self._client.client()
        with service_bus_errors(self._place, self._credentials):
            async with client.get_queue_receiver(
                self._name, sub_queue=sub_queue, auto_lock_renewer=renewer
            ) as receiver:
                yield receiver


async def _process_received(receiver: ServiceBusReceiver, requested: set[str], action: Action) -> list[str]:
    locked: dict[str, ServiceBusReceivedMessage] = {}
    done: list[str] = []
    try:
        while len(done) < len(requested) and (batch := await receiver.receive_messages(MAX_BATCH, WAIT_SECONDS)):
            if locked.keys() >= {_id(message) for message in batch}:
                break  # all came before: their locks expired, and this would start over
            locked |= {_id(message): message for message in batch}
            for message in batch:
                if _id(message) in requested:
                    await action(message)
                    await receiver.complete_message(message)
                    del locked[_id(message)]
                    done.append(_id(message))
    finally:
        for message in locked.values():
            with suppress(ServiceBusError):  # its lock expires anyway
                await receiver.abandon_message(message)
    return done


def _id(message: ServiceBusReceivedMessage) -> str:
    return str(message.sequence_number)


def _copy(message: ServiceBusReceivedMessage) -> ServiceBusMessage:
    """A new message with the same content, without the old one's schedule and time to live."""
    properties = message.application_properties or {}
    return ServiceBusMessage(
        body_bytes(message),
        application_properties={
            key: value for key, value in properties.items() if _text(key) not in DEAD_LETTER_PROPERTIES
        },
        message_id=requeued_id(message),
        content_type=message.content_type,
        correlation_id=message.correlation_id,
        subject=message.subject,
    )


def _dead_letter(message: ServiceBusReceivedMessage) -> DeadLetter:
    time = message.enqueued_time_utc
    return DeadLetter(
        id=_id(message),
        message_id=message_id(message),
        body=as_text(body_bytes(message)),
        reason=message.dead_letter_reason or "",
        message=message.dead_letter_error_description or "",
        time=time.astimezone(UTC).isoformat(timespec="seconds") if time else "",
    )


def _text(key: str | bytes) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else key
