"""Dead letters of an Azure Storage Queue: list, requeue and purge the messages of `<queue>-poison`.

A message can only be selected by receiving it, which hides it for a while. So all messages are received in turn, and
those that were not requested are made visible again at the end; if the command is killed, that happens after
`HIDDEN_SECONDS`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from datetime import UTC
from typing import TypeVar

from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from vott_messaging.errors import LostMessageError
from vott_messaging.queues.base import DeadLetter
from vott_messaging.queues.connection import Connection
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.storage.authentication import storage_client
from vott_messaging.queues.storage.errors import NoQueueError, storage_errors
from vott_messaging.queues.storage.poison_message import POISON_SUFFIX, parse_poison_message
from vott_messaging.settings.queue import QueueSettings

HIDDEN_SECONDS = 120
"""Visibility timeout of the messages that a command goes through."""
MAX_BATCH = 32
"""The service's limit for one receive or peek."""

T = TypeVar("T")


class StoragePoisonQueue:
    """`DeadLetters` of one Azure Storage Queue."""

    def __init__(self, queue: QueueSettings, credentials: Credentials) -> None:
        def connection(name: str) -> Connection[QueueClient]:
            return Connection(
                lambda: storage_client(queue, credentials, name), lambda client: client.close(), credentials.fingerprint
            )

        self.identity = f"{queue.name}{POISON_SUFFIX}"
        self._credentials = credentials
        self._queue = connection(queue.name)
        self._poison = connection(self.identity)

    async def count(self) -> int | None:
        """See DeadLetters. Includes hidden messages."""
        return await self._length(await self._poison.client())

    async def waiting(self) -> int | None:
        """See DeadLetters."""
        return await self._length(await self._queue.client())

    async def peek(self, limit: int) -> Sequence[DeadLetter]:
        """See DeadLetters. The service peeks at 32 messages at most; more are received and made visible again."""
        if limit > MAX_BATCH:
            return [_dead_letter(message) for message in await self._receive_and_return(limit)]
        poison = await self._poison.client()
        try:
            return [_dead_letter(message) for message in await self._call(poison, poison.peek_messages(limit))]
        except NoQueueError:
            return []

    async def requeue(self, ids: Collection[str] | None) -> Sequence[str]:
        """See DeadLetters. A requeued message never expires: how long it has to wait is unknown."""
        queue = await self._queue.client()

        async def send(message: QueueMessage) -> None:
            body = parse_poison_message(str(message.content)).body
            await self._call(queue, queue.send_message(body, time_to_live=-1))

        return await self._process(ids, send)

    async def purge(self, ids: Collection[str] | None) -> Sequence[str]:
        """See DeadLetters."""

        async def do_nothing(_message: QueueMessage) -> None:
            """Deleting the message is enough."""

        return await self._process(ids, do_nothing)

    async def close(self) -> None:
        """See DeadLetters."""
        await self._queue.close()
        await self._poison.close()

    async def _receive_and_return(self, limit: int) -> list[QueueMessage]:
        received: list[QueueMessage] = []
        try:
            async for batch in self._batches():
                received += batch
                if len(received) >= limit:
                    break
        finally:
            await self._make_visible(received)
        return received[:limit]

    async def _process(
        self, ids: Collection[str] | None, action: Callable[[QueueMessage], Awaitable[None]]
    ) -> Sequence[str]:
        """Apply `action` to each of `ids`, then delete it."""
        requested = None if ids is None else set(ids)
        hidden: dict[str, QueueMessage] = {}
        done: list[str] = []
        try:
            async for batch in self._batches():
                hidden |= {message.id: message for message in batch}
                for message in batch:
                    if requested is None or message.id in requested:
                        await action(message)
                        await self._delete(message)
                        done.append(hidden.pop(message.id).id)
                if requested is not None and len(done) == len(requested):
                    break
        finally:
            await self._make_visible(hidden.values())
        return done

    async def _batches(self) -> AsyncIterator[list[QueueMessage]]:
        """Receive the messages that are there now, oldest first, hiding them from others.

        Not more than those: a requeued message may be dead-lettered again before this ends.
        """
        remaining = await self.count() or 0
        while remaining > 0 and (batch := await self._receive(min(remaining, MAX_BATCH))):
            remaining -= len(batch)
            yield batch

    async def _receive(self, count: int) -> list[QueueMessage]:
        poison = await self._poison.client()

        async def receive() -> list[QueueMessage]:
            pages = poison.receive_messages(
                messages_per_page=count, max_messages=count, visibility_timeout=HIDDEN_SECONDS
            )
            return [message async for message in pages]

        return await self._call(poison, receive())

    async def _length(self, client: QueueClient) -> int:
        try:
            properties = await self._call(client, client.get_queue_properties())
        except NoQueueError:
            return 0
        return properties.approximate_message_count or 0

    async def _call(self, client: QueueClient, call: Awaitable[T]) -> T:
        with storage_errors(f"storage queue {client.queue_name}", self._credentials):
            return await call

    async def _delete(self, message: QueueMessage) -> None:
        poison = await self._poison.client()
        try:
            await self._call(poison, poison.delete_message(message))
        except LostMessageError:
            return  # received by another command, or already deleted

    async def _make_visible(self, messages: Iterable[QueueMessage]) -> None:
        poison = await self._poison.client()
        for message in messages:
            try:
                await self._call(poison, poison.update_message(message, visibility_timeout=0))
            except LostMessageError:
                continue


def _dead_letter(message: QueueMessage) -> DeadLetter:
    poison = parse_poison_message(str(message.content))
    return DeadLetter(
        id=message.id,
        message_id=poison.message_id,
        body=poison.body,
        reason=poison.reason,
        message=poison.message,
        time=message.inserted_on.astimezone(UTC).isoformat(timespec="seconds") if message.inserted_on else "",
    )
