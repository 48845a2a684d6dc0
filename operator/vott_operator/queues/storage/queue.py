"""Azure Storage Queue.

A received message is invisible for a while and comes back by itself; deleting it is what settles it. There is no
dead-letter queue, so what can't be used goes to `<queue>-poison`, as Azure Functions do it.
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

from vott_operator.errors import LostMessageError, SettingsError, SourceUnavailableError
from vott_operator.queues.base import Delivery
from vott_operator.queues.clients import storage_client
from vott_operator.queues.credentials import Credentials
from vott_operator.queues.shielding import to_its_end
from vott_operator.queues.storage.connection import StorageConnection
from vott_operator.queues.storage.errors import NoQueueError, UnreadableError, storage_errors
from vott_operator.queues.storage.poison_message import POISON_SUFFIX, PoisonMessage, poison_text
from vott_operator.queues.storage.polling import Polling
from vott_operator.settings.queue import QueueSettings

logger = logging.getLogger(__name__)

VISIBILITY_SECONDS = 30
"""How long a message in hand stays invisible."""
GIVE_BACK_SECONDS = 3.0
MAX_BATCH = 32
"""The service's own limit for one receive."""

T = TypeVar("T")


@dataclass(slots=True)
class _Receipt:
    """What proves that a message is ours. Each extension gives another one, and only the newest counts."""

    message_id: str
    pop: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Settling waits for an extension on its way, whose receipt it needs."""


class StorageQueue:
    """A `QueueSource` over one Azure Storage Queue. Raises SettingsError when its credentials can't be used."""

    def __init__(self, queue: QueueSettings, credentials: Credentials) -> None:
        self._settings = queue
        self._credentials = credentials
        self.identity = _identity(storage_client(queue, credentials, queue.name))
        self._queue = self._connection(queue.name)
        self._poison = self._connection(queue.name + POISON_SUFFIX)
        self._polling = Polling()
        self._one_by_one_until = 0.0

    def _connection(self, name: str) -> StorageConnection:
        return StorageConnection(lambda: self._open(name), self._credentials.fingerprint)

    def _open(self, name: str) -> QueueClient:
        client = storage_client(self._settings, self._credentials, name)
        if _identity(client) != self.identity + name.removeprefix(self._settings.name):
            # A TrainingJob's name is made from the identity: it must not change under messages in hand.
            raise SettingsError(
                f"{self.identity}: the credentials are another account's now; restart the operator for that"
            )
        return client

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """See QueueSource. A missing queue is created: the first message must have somewhere to go."""
        return await self._polling.wait_for(lambda: self._poll(limit), wait_seconds)

    async def _poll(self, limit: int) -> list[Delivery]:
        request = asyncio.ensure_future(self._receive_batch(limit))
        try:
            return await asyncio.shield(request)
        except asyncio.CancelledError:
            # What the service hands out in this moment would be invisible to everybody until its lock ended.
            with suppress(SourceUnavailableError, TimeoutError):
                async with asyncio.timeout(GIVE_BACK_SECONDS):
                    for delivery in await request:
                        await self.release(delivery)
            raise

    async def _receive_batch(self, limit: int) -> list[Delivery]:
        count = 1 if time.monotonic() < self._one_by_one_until else min(limit, MAX_BATCH)
        try:
            messages = await self._call(self._queue, lambda queue: _receive(queue, count))
        except NoQueueError:
            await self._call(self._queue, _create)
            return []
        except UnreadableError:
            # One message makes the whole answer unreadable and hides those beside it. Alone it hides only itself.
            self._one_by_one_until = time.monotonic() + 2 * VISIBILITY_SECONDS
            raise
        return [_delivery(message) for message in messages]

    async def complete(self, delivery: Delivery) -> bool:
        """See QueueSource."""
        receipt: _Receipt = delivery.handle
        try:
            async with receipt.lock:
                await self._call(self._queue, lambda queue: queue.delete_message(receipt.message_id, receipt.pop))
        except LostMessageError:
            # Somebody else has it in hand by now; for them the TrainingJob exists already, and they delete it.
            logger.info("message %s was no longer ours to delete", delivery.id)
            return False
        return True

    async def reject(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource. The poison message is JSON: reason, message, queue, messageId and the original body."""
        body = delivery.body.decode(errors="backslashreplace")
        text = poison_text(PoisonMessage(body, reason, message, self._settings.name, delivery.id))
        try:
            await self.extend(delivery)  # whoever has it by now puts it aside
        except LostMessageError:
            return
        try:
            await self._call(self._poison, lambda poison: poison.send_message(text, time_to_live=-1))
        except NoQueueError:
            await self._call(self._poison, _create)
            await self._call(self._poison, lambda poison: poison.send_message(text, time_to_live=-1))
        await self.complete(delivery)

    async def release(self, delivery: Delivery) -> None:
        """See QueueSource."""
        with suppress(LostMessageError):  # its time in our hand had ended, so it is back already
            await self._hide(delivery.handle, 0)

    async def extend(self, delivery: Delivery) -> None:
        """See QueueSource. To its end even when cancelled: the new receipt is needed for settling."""
        await to_its_end(self._hide(delivery.handle, VISIBILITY_SECONDS))

    async def _hide(self, receipt: _Receipt, seconds: int) -> None:
        async with receipt.lock:
            updated = await self._call(
                self._queue,
                lambda queue: queue.update_message(receipt.message_id, receipt.pop, visibility_timeout=seconds),
            )
            receipt.pop = str(updated.pop_receipt)

    async def pause(self) -> None:
        """See QueueSource. Nothing waits at the service for us."""

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
    pages = queue.receive_messages(messages_per_page=count, max_messages=count, visibility_timeout=VISIBILITY_SECONDS)
    return [message async for message in pages]


async def _create(queue: QueueClient) -> None:
    with suppress(ResourceExistsError):
        await queue.create_queue()
        logger.info("created queue %s", queue.queue_name)


def _delivery(message: QueueMessage) -> Delivery:
    receipt = _Receipt(message.id, str(message.pop_receipt))
    body = str(message.content or "").encode("utf-8", "surrogatepass")
    return Delivery(message.id, body, message.dequeue_count or 1, VISIBILITY_SECONDS, receipt)
