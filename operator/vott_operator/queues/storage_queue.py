"""Azure Storage Queue.

A received message is invisible for a while and comes back by itself; deleting it is what settles it. There is no
dead-letter queue, so what can't be used goes to `<queue>-poison`, as Azure Functions do it.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from ..errors import SettingsError, SourceUnavailableError
from .base import Delivery

logger = logging.getLogger(__name__)

VISIBILITY_SECONDS = 30
"""How long a message in hand stays invisible. Making a TrainingJob takes well under a second."""
MAX_BATCH = 32
"""The service's own limit for one receive."""
MAX_MESSAGE_BYTES = 64 * 1024
POISON_SUFFIX = "-poison"

LOST = ("MessageNotFound", "PopReceiptMismatch")
"""Error codes of the service for a message that is settled, or that somebody else has received since."""

T = TypeVar("T")


class _LostError(Exception):
    """The message is no longer ours to settle."""


class _NoQueueError(SourceUnavailableError):
    """The queue is not there (any more)."""


class StorageQueue:
    """A `QueueSource` over one Azure Storage Queue."""

    def __init__(self, connection_string: str, name: str) -> None:
        self._queue = _client(connection_string, name)
        self._poison = _client(connection_string, name + POISON_SUFFIX)
        parts = urlsplit(self._queue.url)
        self.identity = f"storage://{parts.netloc}{parts.path.rstrip('/')}"

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See QueueSource. A missing queue is created: the first message must have somewhere to go."""
        try:
            return [
                _delivery(message) for message in await self._call(lambda: self._receive_batch(min(limit, MAX_BATCH)))
            ]
        except _NoQueueError:
            await self._call(lambda: _create(self._queue))
            return []

    async def _receive_batch(self, count: int) -> list[QueueMessage]:
        pages = self._queue.receive_messages(
            messages_per_page=count, max_messages=count, visibility_timeout=VISIBILITY_SECONDS
        )
        return [message async for message in pages]

    async def complete(self, delivery: Delivery) -> None:
        """See QueueSource."""
        await self._delete(delivery)

    async def reject(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource. The poison message is JSON: reason, message, queue, messageId and the original body."""
        text = _poison_text(self._queue.queue_name, delivery, reason, message)
        try:
            await self._call(lambda: self._poison.send_message(text, time_to_live=-1))
        except _NoQueueError:
            await self._call(lambda: _create(self._poison))
            await self._call(lambda: self._poison.send_message(text, time_to_live=-1))
        await self._delete(delivery)

    async def release(self, delivery: Delivery, delay_seconds: float) -> None:
        """See QueueSource."""
        try:
            await self._call(
                lambda: self._queue.update_message(delivery.handle, visibility_timeout=max(0, round(delay_seconds)))
            )
        except _LostError:
            return  # its time in our hand had ended, so it is back already

    async def close(self) -> None:
        """See QueueSource."""
        await self._queue.close()
        await self._poison.close()

    async def _delete(self, delivery: Delivery) -> None:
        try:
            await self._call(lambda: self._queue.delete_message(delivery.handle))
        except _LostError:
            # Somebody else has it in hand by now; for them the TrainingJob exists already, and they delete it.
            logger.info("message %s was no longer ours to delete", delivery.id)

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except AzureError as error:
            if getattr(error, "error_code", None) in LOST:
                raise _LostError from None
            if isinstance(error, ResourceNotFoundError):
                raise _NoQueueError(f"{self.identity}: there is no such queue") from None
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SourceUnavailableError(f"{self.identity}: {text}") from None


def _client(connection_string: str, name: str) -> QueueClient:
    try:
        return QueueClient.from_connection_string(
            connection_string, name, connection_timeout=5, read_timeout=30, retry_total=0
        )
    except ValueError as error:
        raise SettingsError(
            f"AZURE_STORAGE_CONNECTION_STRING is not a connection string of a storage account: {error}"
        ) from None


async def _create(queue: QueueClient) -> None:
    try:
        await queue.create_queue()
        logger.info("created queue %s", queue.queue_name)
    except ResourceExistsError:
        return


def _delivery(message: QueueMessage) -> Delivery:
    return Delivery(id=message.id, body=str(message.content), attempt=message.dequeue_count or 1, handle=message)


def _poison_text(queue: str, delivery: Delivery, reason: str, message: str) -> str:
    fields: dict[str, Any] = {
        "reason": reason,
        "message": message,
        "queue": queue,
        "messageId": delivery.id,
        "body": delivery.body,
    }
    text = json.dumps(fields, ensure_ascii=False)
    if len(text.encode()) <= MAX_MESSAGE_BYTES:
        return text
    # The reasons would not fit beside a message of nearly the service's size limit: the original alone can be sent again.
    return delivery.body
