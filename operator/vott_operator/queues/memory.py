"""A queue in memory, for tests and trials: locks that end, redelivery and a dead-letter list, like the real ones."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vott_operator.errors import LostMessageError
from vott_operator.queues.base import Delivery

LOCK_SECONDS = 30.0
LOOK_AGAIN_SECONDS = 0.01


@dataclass(slots=True)
class _Message:
    id: str
    body: bytes
    visible_at: float = 0.0
    attempts: int = 0


@dataclass(slots=True)
class MemoryQueue:
    """A `QueueSource`. `clock` gives seconds; turn it by hand to end locks."""

    clock: Callable[[], float]
    identity: str = "memory://queue"
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    """Body, reason and message of what was rejected."""
    attempts: int = 0
    """How many messages were received in all, each time counted."""
    _messages: dict[str, _Message] = field(default_factory=dict)
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def send(self, body: str | bytes, message_id: str | None = None) -> str:
        """Put a message in; returns its id."""
        text = body.encode() if isinstance(body, str) else body
        message = _Message(message_id or str(next(self._ids)), text)
        self._messages[message.id] = message
        return message.id

    def __len__(self) -> int:
        """Number of messages that are not settled."""
        return len(self._messages)

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """See QueueSource. The waiting is in real seconds, whatever the clock says."""
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            ready = self._take(limit)
            if ready or asyncio.get_running_loop().time() >= deadline:
                return ready
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def _take(self, limit: int) -> list[Delivery]:
        now = self.clock()
        ready = [message for message in self._messages.values() if message.visible_at <= now][:limit]
        for message in ready:
            message.visible_at = now + LOCK_SECONDS
            message.attempts += 1
            self.attempts += 1
        return [Delivery(item.id, item.body, item.attempts, LOCK_SECONDS, item.attempts) for item in ready]

    async def complete(self, delivery: Delivery) -> bool:
        """See QueueSource."""
        if not self._mine(delivery):
            return False
        del self._messages[delivery.id]
        return True

    async def reject(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource."""
        self.rejected.append((delivery.body.decode(errors="backslashreplace"), reason, message))
        await self.complete(delivery)

    async def release(self, delivery: Delivery) -> None:
        """See QueueSource."""
        if self._mine(delivery):
            self._messages[delivery.id].visible_at = self.clock()

    async def extend(self, delivery: Delivery) -> None:
        """See QueueSource."""
        if not self._mine(delivery):
            raise LostMessageError(f"message {delivery.id} is no longer in hand")
        self._messages[delivery.id].visible_at = self.clock() + LOCK_SECONDS

    async def pause(self) -> None:
        """See QueueSource."""

    async def close(self) -> None:
        """See QueueSource."""

    def _mine(self, delivery: Delivery) -> bool:
        """Whether nobody received the message since."""
        message = self._messages.get(delivery.id)
        return message is not None and message.attempts == delivery.handle
