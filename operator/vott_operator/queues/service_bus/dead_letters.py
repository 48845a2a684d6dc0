"""What was put aside from an Azure Service Bus queue: its dead-letter sub-queue.

A message there is only got at by receiving, which locks it. So whoever asks for some ids receives them all in turn and
unlocks the others at the end; a kill in between costs nothing but the rest of their lock.
"""

import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC
from typing import Any

from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import AutoLockRenewer, ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from vott_operator.queues.base import Connection, DeadLetter
from vott_operator.queues.clients import service_bus_client
from vott_operator.queues.credentials import Credentials
from vott_operator.queues.service_bus.errors import service_bus_errors
from vott_operator.queues.service_bus.message import body_bytes, message_id
from vott_operator.settings.queue import QueueSettings

COUNTED_UP_TO = 1000
"""Service Bus tells nobody but its managers how many messages it has, so they are counted by looking; not on and on."""
MAX_BATCH = 100
WAIT_SECONDS = 5
"""How long to wait for a message that is there, but perhaps in somebody's hand."""
LOOK_THROUGH_SECONDS = 1800
"""How long locks are renewed at most."""
MAX_MESSAGE_ID = 128
DEAD_LETTER_PROPERTIES = ("DeadLetterReason", "DeadLetterErrorDescription")
"""https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues"""

REQUEUED = re.compile(r"-requeued-\d+$")
Use = Callable[[ServiceBusReceivedMessage], Awaitable[None]]

OPTIONS: dict[str, Any] = {"retry_total": 1, "retry_backoff_factor": 0.5}
"""Somebody sits before the screen and waits."""


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
        """See DeadLetters. COUNTED_UP_TO stands for that many and more."""
        return len([message async for message in self._browse(ServiceBusSubQueue.DEAD_LETTER, COUNTED_UP_TO)])

    async def waiting(self) -> int | None:
        """See DeadLetters. COUNTED_UP_TO stands for that many and more."""
        return len([message async for message in self._browse(None, COUNTED_UP_TO)])

    async def peek(self, limit: int) -> Sequence[DeadLetter]:
        """See DeadLetters."""
        return [_dead_letter(message) async for message in self._browse(ServiceBusSubQueue.DEAD_LETTER, limit)]

    async def requeue(self, ids: Collection[str] | None) -> Sequence[str]:
        """See DeadLetters. The new message's id says of which one it is made, so that doing it twice makes no second TrainingJob."""
        client = await self._client.client()
        with service_bus_errors(self._place, self._credentials):
            async with client.get_queue_sender(self._name) as sender:
                return await self._take(ids, lambda message: sender.send_messages(_again(message)))

    async def purge(self, ids: Collection[str] | None) -> Sequence[str]:
        """See DeadLetters."""

        async def forget(_message: ServiceBusReceivedMessage) -> None:
            """Completing it is all."""

        return await self._take(ids, forget)

    async def close(self) -> None:
        """See DeadLetters."""
        await self._client.close()

    async def _browse(
        self, sub_queue: ServiceBusSubQueue | None, limit: float = math.inf
    ) -> AsyncIterator[ServiceBusReceivedMessage]:
        """The oldest `limit` messages, those in somebody's hand included; locks none."""
        async with self._receiver(sub_queue) as receiver:
            next_number = 1
            while limit > 0:
                page = await receiver.peek_messages(int(min(limit, MAX_BATCH)), sequence_number=next_number)
                if not page:
                    return
                for message in page:
                    yield message
                next_number, limit = (page[-1].sequence_number or 0) + 1, limit - len(page)

    async def _take(self, ids: Collection[str] | None, use: Use) -> Sequence[str]:
        """Use each of `ids`, and only then remove it."""
        there = {_id(message) async for message in self._browse(ServiceBusSubQueue.DEAD_LETTER)}
        # Only what is there now: a message that is sent again and is still of no use comes back while this goes on.
        wanted = there if ids is None else there.intersection(ids)
        if not wanted:
            return []
        async with (
            AutoLockRenewer(LOOK_THROUGH_SECONDS) as renewer,
            self._receiver(ServiceBusSubQueue.DEAD_LETTER, renewer) as receiver,
        ):
            return await _take_from(receiver, wanted, use)

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


async def _take_from(receiver: ServiceBusReceiver, wanted: set[str], use: Use) -> list[str]:
    held: dict[str, ServiceBusReceivedMessage] = {}
    done: list[str] = []
    try:
        while len(done) < len(wanted) and (batch := await receiver.receive_messages(MAX_BATCH, WAIT_SECONDS)):
            if held.keys() >= {_id(message) for message in batch}:
                break  # their locks ended, so that it begins anew
            held |= {_id(message): message for message in batch}
            for message in batch:
                if _id(message) in wanted:
                    await use(message)
                    await receiver.complete_message(message)
                    del held[_id(message)]
                    done.append(_id(message))
    finally:
        for message in held.values():
            with suppress(ServiceBusError):  # then its lock ends by itself
                await receiver.abandon_message(message)
    return done


def _id(message: ServiceBusReceivedMessage) -> str:
    return str(message.sequence_number)


def _again(message: ServiceBusReceivedMessage) -> ServiceBusMessage:
    """A new message of the same content. When it is to be delivered, and until when, has been settled by the old one's fate."""
    properties = message.application_properties or {}
    return ServiceBusMessage(
        body_bytes(message),
        application_properties={
            key: value for key, value in properties.items() if _text(key) not in DEAD_LETTER_PROPERTIES
        },
        message_id=_new_id(message),
        content_type=message.content_type,
        correlation_id=message.correlation_id,
        subject=message.subject,
    )


def _new_id(message: ServiceBusReceivedMessage) -> str:
    """Another id than before, else duplicate detection drops the message; the same one each time this message is sent again."""
    suffix = f"-requeued-{_id(message)}"
    original = REQUEUED.sub("", message_id(message))
    return original[: MAX_MESSAGE_ID - len(suffix)] + suffix


def _dead_letter(message: ServiceBusReceivedMessage) -> DeadLetter:
    time = message.enqueued_time_utc
    return DeadLetter(
        id=_id(message),
        message_id=message_id(message),
        body=body_bytes(message).decode(errors="backslashreplace"),
        reason=message.dead_letter_reason or "",
        message=message.dead_letter_error_description or "",
        time=time.astimezone(UTC).isoformat(timespec="seconds") if time else "",
    )


def _text(key: str | bytes) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else key
