"""What was put aside from an Azure Storage Queue: the messages of `<queue>-poison`.

A message there is only got at by receiving, which hides it for a while. So whoever asks for some ids receives them all
in turn and shows the others again at the end; a kill in between costs nothing but `HIDDEN_SECONDS` of patience.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from datetime import UTC
from typing import TypeVar

from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from vott_operator.errors import LostMessageError
from vott_operator.queues.base import Connection, DeadLetter
from vott_operator.queues.clients import storage_client
from vott_operator.queues.credentials import Credentials
from vott_operator.queues.storage.errors import NoQueueError, storage_errors
from vott_operator.queues.storage.poison_message import POISON_SUFFIX, read_poison
from vott_operator.settings.queue import QueueSettings

HIDDEN_SECONDS = 120
"""How long messages that are looked through stay hidden when the command is killed."""
MAX_BATCH = 32
"""The service's own limit for one receive or peek."""

T = TypeVar("T")


class StoragePoison:
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
        """See DeadLetters. Those that are hidden for a moment count too."""
        return await self._length(await self._poison.client())

    async def waiting(self) -> int | None:
        """See DeadLetters."""
        return await self._length(await self._queue.client())

    async def peek(self, limit: int) -> Sequence[DeadLetter]:
        """See DeadLetters. The service peeks at 32 at most; more are received and shown again."""
        if limit > MAX_BATCH:
            return [_dead_letter(message) for message in await self._look_at(limit)]
        poison = await self._poison.client()
        try:
            return [_dead_letter(message) for message in await self._call(poison, poison.peek_messages(limit))]
        except NoQueueError:
            return []

    async def requeue(self, ids: Collection[str] | None) -> Sequence[str]:
        """See DeadLetters. What is sent never expires: nobody knows how long it has to wait this time."""
        queue = await self._queue.client()

        async def send(message: QueueMessage) -> None:
            body = read_poison(str(message.content)).body
            await self._call(queue, queue.send_message(body, time_to_live=-1))

        return await self._take(ids, send)

    async def purge(self, ids: Collection[str] | None) -> Sequence[str]:
        """See DeadLetters."""

        async def forget(_message: QueueMessage) -> None:
            """Removing it is all."""

        return await self._take(ids, forget)

    async def close(self) -> None:
        """See DeadLetters."""
        await self._queue.close()
        await self._poison.close()

    async def _look_at(self, limit: int) -> list[QueueMessage]:
        held: list[QueueMessage] = []
        try:
            async for batch in self._batches():
                held += batch
                if len(held) >= limit:
                    break
        finally:
            await self._show_again(held)
        return held[:limit]

    async def _take(self, ids: Collection[str] | None, use: Callable[[QueueMessage], Awaitable[None]]) -> Sequence[str]:
        """Use each of `ids`, and only then remove it."""
        wanted = None if ids is None else set(ids)
        held: dict[str, QueueMessage] = {}
        done: list[str] = []
        try:
            async for batch in self._batches():
                held |= {message.id: message for message in batch}
                for message in batch:
                    if wanted is None or message.id in wanted:
                        await use(message)
                        await self._delete(message)
                        done.append(held.pop(message.id).id)
                if wanted is not None and len(done) == len(wanted):
                    break
        finally:
            await self._show_again(held.values())
        return done

    async def _batches(self) -> AsyncIterator[list[QueueMessage]]:
        """All that are there now, hidden from others, oldest first.

        Not more: a message that is sent again and is still of no use comes back here while this goes on.
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
            return  # somebody else has it in hand by now, or has removed it

    async def _show_again(self, messages: Iterable[QueueMessage]) -> None:
        poison = await self._poison.client()
        for message in messages:
            try:
                await self._call(poison, poison.update_message(message, visibility_timeout=0))
            except LostMessageError:
                continue


def _dead_letter(message: QueueMessage) -> DeadLetter:
    poison = read_poison(str(message.content))
    return DeadLetter(
        id=message.id,
        message_id=poison.message_id,
        body=poison.body,
        reason=poison.reason,
        message=poison.message,
        time=message.inserted_on.astimezone(UTC).isoformat(timespec="seconds") if message.inserted_on else "",
    )
