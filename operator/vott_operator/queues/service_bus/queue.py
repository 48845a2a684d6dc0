"""Azure Service Bus.

Messages are locked for the queue's lock duration (peek-lock); what is not settled by then comes back. Every time that
happens counts, and after the queue's maximum delivery count Service Bus itself makes the message a dead letter.

The client's receiver is used by one task at a time. It stands several while its connection lives, but when the connection
breaks each of them opens another, and those that nobody closes keep taking messages.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import (
    MessageAlreadySettled,
    MessageLockLostError,
    MessageNotFoundError,
)

from vott_operator.errors import LostMessageError, SettingsError, SourceUnavailableError
from vott_operator.queues.base import Connection, Delivery
from vott_operator.queues.clients import service_bus_client, service_bus_host
from vott_operator.queues.credentials import Credentials
from vott_operator.queues.service_bus.errors import service_bus_errors
from vott_operator.queues.service_bus.message import body_bytes, message_id
from vott_operator.queues.shielding import to_its_end
from vott_operator.settings.queue import QueueSettings

logger = logging.getLogger(__name__)

MAX_BATCH = 100
MAX_DESCRIPTION = 4096
"""Characters that Service Bus keeps of a dead letter's reason and description each."""
TURN_SECONDS = 1.0
"""How long one look for messages keeps the receiver to itself while nothing is in hand."""
SHORT_TURN_SECONDS = 0.2
"""The same while there is something to settle. The client looks at its socket no more often than this."""
AT_ONCE_SECONDS = 0.02
"""A message that comes this soon was waiting already."""
MIN_LOCK_SECONDS = 1.0
"""Less is left of a lock only where clocks differ; whoever extends it must not do so without a pause."""
CALL_SECONDS = 30.0
CLOSE_SECONDS = 5.0

T = TypeVar("T")
Call = Callable[[ServiceBusReceiver], Awaitable[T]]


class _LostError(Exception):
    """The message is no longer ours to settle."""


@dataclass(frozen=True, slots=True)
class _Open:
    client: ServiceBusClient
    receiver: ServiceBusReceiver


class ServiceBusQueue:
    """A `QueueSource` over one queue (without sessions) of an Azure Service Bus namespace. It has to exist.

    Raises SettingsError when the credentials are incomplete or malformed.
    """

    def __init__(self, queue: QueueSettings, credentials: Credentials) -> None:
        self.identity = _identity(queue, credentials)
        self._settings = queue
        self._credentials = credentials
        self._connection = Connection(self._open, _close, credentials.fingerprint)
        self._turn = asyncio.Lock()
        self._in_hand: dict[int, float] = {}
        self._is_flowing = False
        self._is_expecting = False

    def _open(self) -> _Open:
        if _identity(self._settings, self._credentials) != self.identity:
            # A TrainingJob's name is made from the identity: it must not change under messages in hand.
            raise SettingsError(
                f"{self.identity}: the credentials are another namespace's now; restart the operator for that"
            )
        # Trying again is this module's affair: the client's own attempts would go on over a connection known to be broken.
        client = service_bus_client(self._settings, self._credentials, retry_total=0)
        return _Open(client, client.get_queue_receiver(self._settings.name))

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """See QueueSource. The first look after a pause takes as long as opening a connection, and none is shorter than 0.2 s."""
        deadline = _now() + wait_seconds
        while True:
            messages = await self._take_turn(min(limit, MAX_BATCH), deadline - _now())
            if messages or _now() >= deadline:
                return [self._delivery(message) for message in messages]

    async def _take_turn(self, limit: int, seconds_left: float) -> list[ServiceBusReceivedMessage]:
        async with self._turn:
            turn = SHORT_TURN_SECONDS if self._has_something_in_hand() else TURN_SECONDS
            seconds = max(min(turn, seconds_left), SHORT_TURN_SECONDS)
            return await self._use(lambda receiver: self._look(receiver, limit, seconds))

    async def _look(self, receiver: ServiceBusReceiver, limit: int, seconds: float) -> list[ServiceBusReceivedMessage]:
        """One message as soon as it comes; several when messages were waiting already.

        Asked for several, the client waits 0.2 s for more after the first: right in a backlog, and too long for a message
        that comes alone.
        """
        started, self._is_expecting = _now(), True
        asked = limit if self._is_flowing else 1
        messages = await (receiver.receive_messages(1, seconds) if asked == 1 else _receive_several(receiver, asked))
        self._is_expecting = len(messages) < asked
        self._is_flowing = not self._is_expecting and (asked > 1 or _now() - started < AT_ONCE_SECONDS)
        return messages

    def _delivery(self, message: ServiceBusReceivedMessage) -> Delivery:
        delivery = Delivery(
            id=message_id(message),
            body=body_bytes(message),
            attempt=(message.delivery_count or 0) + 1,
            lock_seconds=_lock_seconds(message),
            handle=message,
        )
        self._in_hand[id(message)] = _now() + delivery.lock_seconds
        return delivery

    async def complete(self, delivery: Delivery) -> bool:
        """See QueueSource."""
        return await self._settle(delivery, lambda receiver: receiver.complete_message(delivery.handle))

    async def reject(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource. Reason and message become the dead letter's reason and description."""
        text = message if len(message) <= MAX_DESCRIPTION else message[: MAX_DESCRIPTION - 1] + "…"
        await self._settle(delivery, lambda receiver: receiver.dead_letter_message(delivery.handle, reason, text))

    async def release(self, delivery: Delivery) -> None:
        """See QueueSource. Service Bus counts it as a delivery in vain."""
        await self._settle(delivery, lambda receiver: receiver.abandon_message(delivery.handle))

    async def extend(self, delivery: Delivery) -> None:
        """See QueueSource."""
        try:
            await self._exclusively(lambda receiver: receiver.renew_message_lock(delivery.handle, timeout=CALL_SECONDS))
        except _LostError:
            self._in_hand.pop(id(delivery.handle), None)
            raise LostMessageError(f"{self.identity}: message {delivery.id} is no longer in hand") from None
        self._in_hand[id(delivery.handle)] = _now() + delivery.lock_seconds

    async def pause(self) -> None:
        """See QueueSource. A receiver that asked for more than came is closed: it may still be sent a message that nobody awaits."""
        async with self._turn:
            if self._is_expecting:
                await self._close()

    async def close(self) -> None:
        """See QueueSource. Never raises."""
        async with self._turn:
            await self._close()

    async def _close(self) -> None:
        self._is_expecting = False
        # To its end even when cancelled: a connection that stays open takes messages along.
        await to_its_end(self._connection.close())

    async def _settle(self, delivery: Delivery, call: Call[None]) -> bool:
        """Whether the message was still ours to settle."""
        try:
            await self._exclusively(call)
        except _LostError:
            # Somebody else has it in hand by now; for them the TrainingJob exists already, and they complete it.
            logger.info("message %r was no longer ours to settle", delivery.id)
            return False
        finally:
            self._in_hand.pop(id(delivery.handle), None)
        return True

    async def _exclusively(self, call: Call[T]) -> T:
        """Take a turn for one call; to its end even when cancelled, since half an exchange would confuse the next call."""

        async def turn() -> T:
            async with self._turn:
                return await self._use(call)

        return await to_its_end(turn())

    def _has_something_in_hand(self) -> bool:
        now = _now()
        self._in_hand = {key: end for key, end in self._in_hand.items() if end > now}
        return bool(self._in_hand)

    async def _use(self, call: Call[T]) -> T:
        """Call with an open receiver; once more over a new connection when the one that was open turns out to be broken.

        A message received over an earlier connection can be settled over any other: the client takes its lock token then.
        """
        was_open = not self._connection.is_stale
        try:
            return await self._use_once(call)
        except SourceUnavailableError:
            if not was_open:
                raise
            return await self._use_once(call)

    async def _use_once(self, call: Call[T]) -> T:
        try:
            with service_bus_errors(self.identity, self._credentials):
                return await self._call(call)
        except SourceUnavailableError:
            await self._close()
            raise

    async def _call(self, call: Call[T]) -> T:
        try:
            opened = await self._connection.client()
            async with asyncio.timeout(CALL_SECONDS):
                # Opens it where it is not: settling demands that, even for what came over another one.
                return await call(await opened.receiver.__aenter__())
        except (MessageLockLostError, MessageNotFoundError, MessageAlreadySettled):
            raise _LostError from None
        except SettingsError as error:  # a Secret that is wrong just now may be right in a moment
            raise SourceUnavailableError(str(error)) from None


def _identity(queue: QueueSettings, credentials: Credentials) -> str:
    return f"servicebus://{service_bus_host(queue, credentials)}/{queue.name.lower()}"


async def _close(opened: _Open) -> None:
    """Give back what is on its way to us, and close. A connection that is broken can't be closed well, and need not be."""
    for closing in (opened.receiver.close, opened.client.close):
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await closing()


async def _receive_several(receiver: ServiceBusReceiver, limit: int) -> list[ServiceBusReceivedMessage]:
    """Receive several. When cancelled meanwhile, those that came are given back rather than left locked."""
    receiving = asyncio.ensure_future(receiver.receive_messages(limit, SHORT_TURN_SECONDS))
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
