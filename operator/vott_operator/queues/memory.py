"""A queue in memory, for tests and trials: locks that end, redelivery and a dead-letter list, like the real ones."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .base import Delivery

LOCK_SECONDS = 30.0


@dataclass(slots=True)
class _Message:
    id: str
    body: str
    visible_at: float = 0.0
    attempts: int = 0


@dataclass(slots=True)
class MemoryQueue:
    """A `QueueSource`. `clock` gives seconds; turn it by hand to end locks."""

    clock: Callable[[], float]
    identity: str = "memory://queue"
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    """Body, reason and message of what was rejected."""
    _messages: dict[str, _Message] = field(default_factory=dict)
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def send(self, body: str) -> str:
        """Put a message in; returns its id."""
        message = _Message(str(next(self._ids)), body)
        self._messages[message.id] = message
        return message.id

    def __len__(self) -> int:
        """Number of messages that are not settled."""
        return len(self._messages)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See QueueSource."""
        now = self.clock()
        ready = [message for message in self._messages.values() if message.visible_at <= now][:limit]
        for message in ready:
            message.visible_at = now + LOCK_SECONDS
            message.attempts += 1
        return [Delivery(message.id, message.body, message.attempts, message.attempts) for message in ready]

    async def complete(self, delivery: Delivery) -> None:
        """See QueueSource."""
        if self._mine(delivery):
            del self._messages[delivery.id]

    async def reject(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource."""
        self.rejected.append((delivery.body, reason, message))
        await self.complete(delivery)

    async def release(self, delivery: Delivery, delay_seconds: float) -> None:
        """See QueueSource."""
        if self._mine(delivery):
            self._messages[delivery.id].visible_at = self.clock() + delay_seconds

    async def close(self) -> None:
        """See QueueSource."""

    def _mine(self, delivery: Delivery) -> bool:
        """Whether nobody received the message since."""
        message = self._messages.get(delivery.id)
        return message is not None and message.attempts == delivery.handle
