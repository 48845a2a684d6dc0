"""An in-memory queue for tests, with expiring locks, redelivery and dead letters like the real ones."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vott_messaging.errors import LostMessageError
from vott_messaging.queues.base import Backlog, Delivery

LOCK_SECONDS = 30.0
POLL_SECONDS = 0.01


@dataclass(slots=True)
class _Message:
    id: str
    body: bytes
    sequence: str = ""
    enqueued: datetime | None = None
    visible_at: float = 0.0
    attempts: int = 0


@dataclass(slots=True)
class MemoryQueue:
    """A `QueueSource` in memory. `clock` returns seconds; advance it to expire locks."""

    clock: Callable[[], float]
    identity: str = "memory://queue"
    dead_letters: list[tuple[str, str, str]] = field(default_factory=list)
    """Body, reason and message of each dead-lettered message."""
    attempts: int = 0
    """Deliveries of all messages together."""
    _messages: dict[str, _Message] = field(default_factory=dict)
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def send(
        self, body: str | bytes, message_id: str | None = None, sequence: str = "", enqueued: datetime | None = None
    ) -> str:
        """Add a message; returns its id."""
        text = body.encode() if isinstance(body, str) else body
        message = _Message(message_id or str(next(self._ids)), text, sequence, enqueued)
        self._messages[message.id] = message
        return message.id

    def __len__(self) -> int:
        """Number of messages that are not settled."""
        return len(self._messages)

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """See QueueSource. Waits in real seconds, whatever `clock` returns."""
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            ready = self._take(limit)
            if ready or asyncio.get_running_loop().time() >= deadline:
                return ready
            await asyncio.sleep(POLL_SECONDS)

    def _take(self, limit: int) -> list[Delivery]:
        now = self.clock()
        ready = [message for message in self._messages.values() if message.visible_at <= now][:limit]
        for message in ready:
            message.visible_at = now + LOCK_SECONDS
            message.attempts += 1
            self.attempts += 1
        return [
            Delivery(item.id, item.body, item.attempts, LOCK_SECONDS, item.attempts, item.sequence, item.enqueued)
            for item in ready
        ]

    async def backlog(self) -> Backlog:
        """See QueueSource."""
        sent = [message.enqueued for message in self._messages.values() if message.enqueued]
        return Backlog(len(self), min(sent, default=None))

    async def complete(self, delivery: Delivery) -> bool:
        """See QueueSource."""
        if not self._has_lock(delivery):
            return False
        del self._messages[delivery.id]
        return True

    async def dead_letter(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource."""
        self.dead_letters.append((delivery.body.decode(errors="backslashreplace"), reason, message))
        await self.complete(delivery)

    async def abandon(self, delivery: Delivery) -> None:
        """See QueueSource."""
        if self._has_lock(delivery):
            self._messages[delivery.id].visible_at = self.clock()

    async def renew_lock(self, delivery: Delivery) -> None:
        """See QueueSource."""
        if not self._has_lock(delivery):
            raise LostMessageError(f"the lock on message {delivery.id} was lost")
        self._messages[delivery.id].visible_at = self.clock() + LOCK_SECONDS

    async def pause(self) -> None:
        """See QueueSource."""

    async def close(self) -> None:
        """See QueueSource."""

    def _has_lock(self, delivery: Delivery) -> bool:
        """Whether the message was not delivered again since."""
        message = self._messages.get(delivery.id)
        return message is not None and message.attempts == delivery.handle
