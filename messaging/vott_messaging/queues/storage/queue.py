"""Azure Storage Queue: receive messages, renew their visibility timeout, delete or dead-letter them.

A received message is invisible until its visibility timeout ends; deleting it settles it. The service has no dead-letter
queue, so messages are dead-lettered to `<queue>-poison`, as Azure Functions do.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from vott_messaging.errors import LostMessageError, SettingsError, SourceUnavailableError
from vott_messaging.queues.base import Backlog, Delivery
from vott_messaging.queues.cancellation import run_to_completion
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.storage.authentication import storage_client
from vott_messaging.queues.storage.connection import StorageConnection
from vott_messaging.queues.storage.errors import NoQueueError, UnreadableError, storage_errors
from vott_messaging.queues.storage.poison_message import POISON_SUFFIX, PoisonMessage, format_poison_message
from vott_messaging.queues.storage.polling import Poller
from vott_messaging.settings.queue import QueueSettings

logger = logging.getLogger(__name__)

VISIBILITY_TIMEOUT_SECONDS = 30
"""How long a received message stays invisible to other receivers."""
ABANDON_SECONDS = 3.0
"""How long a cancelled `receive` may take to make its messages visible again."""
MAX_BATCH = 32
"""The service's limit for one receive."""

T = TypeVar("T")


@dataclass(slots=True)
class _Receipt:
    """Proof of the lock on a message. Each renewal returns a new pop receipt, and only the newest is valid."""

    message_id: str
    pop_receipt: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Settling waits for a renewal in progress, because it needs the new receipt."""


class StorageQueue:
    """A `QueueSource` over one Azure Storage Queue. Raises SettingsError when its credentials can't be used."""

    def __init__(self, queue: QueueSettings, credentials: Credentials) -> None:
        self._settings = queue
        self._credentials = credentials
        self.identity = _identity(storage_client(queue, credentials, queue.name))
        self._queue = self._connection(queue.name)
        self._poison = self._connection(queue.name + POISON_SUFFIX)
        self._poller = Poller()
        self._single_message_until = 0.0

    def _connection(self, name: str) -> StorageConnection:
        return StorageConnection(lambda: self._open(name), self._credentials.fingerprint)

    def _open(self, name: str) -> QueueClient:
        client = storage_client(self._settings, self._credentials, name)
        if _identity(client) != self.identity + name.removeprefix(self._settings.name):
            # The trainings' names derive from the identity, so it must not change while messages are locked.
            raise SettingsError(f"{self.identity}: the credentials are now for another account; restart the operator")
        return client

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """See QueueSource. Creates a missing queue, so that senders can use it."""
        return await self._poller.poll(lambda: self._receive_or_abandon(limit), wait_seconds)

    async def _receive_or_abandon(self, limit: int) -> list[Delivery]:
        request = asyncio.ensure_future(self._receive_batch(limit))
        try:
            return await asyncio.shield(request)
        except asyncio.CancelledError:
            # Otherwise messages in the response would stay invisible to everyone until their timeout.
            with suppress(SourceUnavailableError, TimeoutError):
                async with asyncio.timeout(ABANDON_SECONDS):
                    for delivery in await request:
                        await self.abandon(delivery)
            raise

    async def _receive_batch(self, limit: int) -> list[Delivery]:
        count = 1 if time.monotonic() < self._single_message_until else min(limit, MAX_BATCH)
        try:
            messages = await self._call(self._queue, lambda queue: _receive(queue, count))
        except NoQueueError:
            await self._call(self._queue, _create)
            return []
        except UnreadableError:
            # One bad message makes the whole batch unreadable. Receive one at a time until all are visible again.
            self._single_message_until = time.monotonic() + 2 * VISIBILITY_TIMEOUT_SECONDS
            raise
        return [_delivery(message) for message in messages]

    async def backlog(self) -> Backlog:
        """See QueueSource."""
        try:
            return await self._call(self._queue, _backlog)
        except NoQueueError:
            return Backlog(0, None)

    async def complete(self, delivery: Delivery) -> bool:
        """See QueueSource."""
        receipt: _Receipt = delivery.handle
        try:
            async with receipt.lock:
                await self._call(
                    self._queue, lambda queue: queue.delete_message(receipt.message_id, receipt.pop_receipt)
                )
        except LostMessageError:
            # Received again meanwhile; that receiver finds the training and deletes the message.
            logger.info("the lock was lost, another receiver deletes the message")
            return False
        return True

    async def dead_letter(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource. Sends the body with the reason to the poison queue; see `poison_message.py`."""
        body = delivery.body.decode(errors="backslashreplace")
        text = format_poison_message(PoisonMessage(body, reason, message, self._settings.name, delivery.id))
        try:
            await self.renew_lock(delivery)  # if the lock was lost, the next receiver dead-letters it
        except LostMessageError:
            return
        try:
            await self._call(self._poison, lambda poison: poison.send_message(text, time_to_live=-1))
        except NoQueueError:
            await self._call(self._poison, _create)
            await self._call(self._poison, lambda poison: poison.send_message(text, time_to_live=-1))
        await self.complete(delivery)

    async def abandon(self, delivery: Delivery) -> None:
        """See QueueSource."""
        with suppress(LostMessageError):  # its timeout ended, so it is visible already
            await self._set_visibility_timeout(delivery.handle, 0)

    async def renew_lock(self, delivery: Delivery) -> None:
        """See QueueSource. Ignores cancellation, because settling needs the new receipt."""
        await run_to_completion(self._set_visibility_timeout(delivery.handle, VISIBILITY_TIMEOUT_SECONDS))

    async def _set_visibility_timeout(self, receipt: _Receipt, seconds: int) -> None:
        async with receipt.lock:
            updated = await self._call(
                self._queue,
                lambda queue: queue.update_message(receipt.message_id, receipt.pop_receipt, visibility_timeout=seconds),
            )
            receipt.pop_receipt = str(updated.pop_receipt)

    async def pause(self) -> None:
        """See QueueSource. Nothing to do: the service doesn't push messages."""

    async def close(self) -> None:
        """See QueueSource."""
        await self._queue.close()
        await self._poison.close()

    async def _call(self, connection: StorageConnection, call: Callable[[QueueClient], Awaitable[T]]) -> T:
        with storage_errors(self.identity, self._credentials):
            async with connection.use() as client:
                return await call(client)


def _identity(client: QueueClient) -> str:
    parts = urlsplit(client.url)
    return f"storage://{parts.netloc.lower()}{parts.path.rstrip('/')}"


async def _receive(queue: QueueClient, count: int) -> list[QueueMessage]:
    pages = queue.receive_messages(
        messages_per_page=count, max_messages=count, visibility_timeout=VISIBILITY_TIMEOUT_SECONDS
    )
    return [message async for message in pages]


async def _backlog(queue: QueueClient) -> Backlog:
    properties = await queue.get_queue_properties()
    oldest = await queue.peek_messages(1)
    return Backlog(properties.approximate_message_count, oldest[0].inserted_on if oldest else None)


async def _create(queue: QueueClient) -> None:
    with suppress(ResourceExistsError):
        await queue.create_queue()
        logger.info("created queue %s", queue.queue_name)


def _delivery(message: QueueMessage) -> Delivery:
    receipt = _Receipt(message.id, str(message.pop_receipt))
    body = str(message.content or "").encode("utf-8", "surrogatepass")
    return Delivery(
        message.id,
        body,
        message.dequeue_count or 1,
        VISIBILITY_TIMEOUT_SECONDS,
        receipt,
        enqueued=message.inserted_on,
    )
