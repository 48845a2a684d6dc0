"""Azure Service Bus.

Messages are locked for the queue's lock duration (peek-lock); what is not settled by then comes back. Every time that
happens counts, and after the queue's maximum delivery count Service Bus itself makes the message a dead letter.

The client's receiver is used by one task at a time. It stands several while its connection lives, but when the connection
breaks each of them opens another, and those that nobody closes keep taking messages.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.amqp import AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageAlreadySettled,
    MessageLockLostError,
    MessageNotFoundError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
)

from ..credentials import Credentials
from ..errors import LostMessageError, SettingsError, SourceUnavailableError
from ..queue_settings import QueueSettings
from .base import Connection, Delivery
from .clients import service_bus_client, service_bus_host

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
CALL_SECONDS = 30.0
CLOSE_SECONDS = 5.0

SECRET = re.compile(r"(sig|SharedAccessKey|SharedAccessSignature)=[^&;\s]+", re.IGNORECASE)

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
        self._name = queue.name
        self._host = service_bus_host(queue, credentials)
        self.identity = f"servicebus://{self._host}/{queue.name.lower()}"
        self._connection = Connection(lambda: _open(queue, credentials), _close, credentials.fingerprint)
        self._turn = asyncio.Lock()
        self._in_hand: dict[int, float] = {}
        self._flowing = False

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
        started = _now()
        if self._flowing and limit > 1:
            messages = await _receive_whole(receiver, limit)
            self._flowing = len(messages) == limit
        else:
            messages = await receiver.receive_messages(1, seconds)
            self._flowing = bool(messages) and _now() - started < AT_ONCE_SECONDS
        return messages

    def _delivery(self, message: ServiceBusReceivedMessage) -> Delivery:
        delivery = Delivery(
            id=str(message.message_id or f"sequence-{message.sequence_number}"),
            body=_body(message),
            attempt=(message.delivery_count or 0) + 1,
            lock_seconds=_lock_seconds(message),
            handle=message,
        )
        self._in_hand[id(message)] = _now() + delivery.lock_seconds
        return delivery

    async def complete(self, delivery: Delivery) -> None:
        """See QueueSource."""
        await self._settle(delivery, lambda receiver: receiver.complete_message(delivery.handle))

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
            async with self._turn:
                await self._use(lambda receiver: receiver.renew_message_lock(delivery.handle, timeout=CALL_SECONDS))
        except _LostError:
            self._in_hand.pop(id(delivery.handle), None)
            raise LostMessageError(f"{self.identity}: message {delivery.id} is no longer in hand") from None
        self._in_hand[id(delivery.handle)] = _now() + delivery.lock_seconds

    async def pause(self) -> None:
        """See QueueSource. An open receiver may be sent a message even when nobody asks, so it is closed."""
        async with self._turn:
            await self._connection.close()

    async def close(self) -> None:
        """See QueueSource. Never raises."""
        await self.pause()

    async def _settle(self, delivery: Delivery, call: Call[None]) -> None:
        try:
            async with self._turn:
                await self._use(call)
        except _LostError:
            # Somebody else has it in hand by now; for them the TrainingJob exists already, and they complete it.
            logger.info("message %s was no longer ours to settle", delivery.id)
        self._in_hand.pop(id(delivery.handle), None)

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
            opened = await self._connection.client()
            async with asyncio.timeout(CALL_SECONDS):
                # Opens it where it is not: settling demands that, even for what came over another one.
                return await call(await opened.receiver.__aenter__())
        except (MessageLockLostError, MessageNotFoundError, MessageAlreadySettled):
            raise _LostError from None
        except SettingsError as error:  # a Secret that was changed to something useless; it may be changed again
            raise SourceUnavailableError(f"{self.identity}: {error}") from None
        except (AzureError, OSError) as error:
            await self._connection.close()
            raise SourceUnavailableError(f"{self.identity}: {self._cause(error)}") from None

    def _cause(self, error: Exception) -> str:
        if isinstance(error, MessagingEntityNotFoundError):
            return f"there is no queue {self._name} in this namespace; create it, or correct the queue's name"
        if isinstance(error, ServiceBusAuthenticationError | ServiceBusAuthorizationError):
            return (
                "access denied; is the key or token right, and does it carry the right Listen on this queue,"
                " or the identity the role Azure Service Bus Data Receiver?"
            )
        if isinstance(error, TimeoutError):
            return f"no answer within {CALL_SECONDS:.0f} s"
        return _first_line(error)


def _open(queue: QueueSettings, credentials: Credentials) -> _Open:
    # Trying again is this module's affair: the client's own attempts would go on over a connection known to be broken.
    client = service_bus_client(queue, credentials, retry_total=0)
    return _Open(client, client.get_queue_receiver(queue.name))


async def _close(opened: _Open) -> None:
    """Give back what is on its way to us, and close. A connection that is broken can't be closed well, and need not be."""
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_SECONDS):
            await opened.receiver.close()
    with suppress(Exception):
        await opened.client.close()


async def _receive_whole(receiver: ServiceBusReceiver, limit: int) -> list[ServiceBusReceivedMessage]:
    """Receive several. When cancelled meanwhile, those that came are given back rather than left locked."""
    receiving = asyncio.ensure_future(receiver.receive_messages(limit, SHORT_TURN_SECONDS))
    try:
        return await asyncio.shield(receiving)
    except asyncio.CancelledError:
        with suppress(AzureError):
            for message in await receiving:
                await receiver.abandon_message(message)
        raise


def _body(message: ServiceBusReceivedMessage) -> bytes:
    """What was sent: the data sections joined; of an AMQP value or sequence its text, for the reader to reject in words."""
    if message.body_type == AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    value = message.body if message.body_type == AmqpMessageBodyType.VALUE else list(message.body)
    return value if isinstance(value, bytes) else str(value).encode()


def _lock_seconds(message: ServiceBusReceivedMessage) -> float:
    end = message.locked_until_utc
    return max(0.0, (end - datetime.now(UTC)).total_seconds()) if end else 0.0


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return SECRET.sub(r"\1=…", lines[0].strip()) if lines else type(error).__name__


def _now() -> float:
    return asyncio.get_running_loop().time()
