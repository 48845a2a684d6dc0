"""Interfaces of every queue: `QueueSource` for its messages, `DeadLetters` for its dead-letter queue."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that was received and locked, and is not settled yet."""

    id: str
    """The same each time the message is delivered. Where senders choose it, several messages may have it."""
    body: bytes
    attempt: int
    """Delivery count, including this delivery."""
    lock_seconds: float
    """How long the lock lasts after receiving or `renew_lock`."""
    handle: Any
    """The queue's own handle for settling the message."""
    sequence: str = ""
    """The service's own id of the message, where the sender chose `id`; empty where `id` is unique."""
    enqueued: datetime | None = None
    """When it was sent, by the service's clock; None where the service doesn't tell."""
    traceparent: str = ""
    """The sender's trace context; empty if it sent none, or the service has no properties for it."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in a queue, as far as the service tells a receiver."""

    messages: int | None
    """Number of messages, locked ones included, approximately; None where it is unknown."""
    oldest: datetime | None
    """When the oldest message was sent; None if there is none. Storage queues: the oldest that is not locked."""


class QueueSource(Protocol):
    """A queue that locks messages on delivery and delivers them again unless they are settled.

    Every method may raise SourceUnavailableError; the caller retries. Settling a message after its lock was lost
    has no effect and raises nothing.
    """

    @property
    def identity(self) -> str:
        """Globally unique name of the queue, without credentials. Part of every training's name."""

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """Receive up to `limit` messages as soon as there are any; empty after `wait_seconds` without a message."""

    async def backlog(self) -> Backlog:
        """Look at what waits, without receiving it. May be called while `receive` is."""

    async def complete(self, delivery: Delivery) -> bool:
        """Delete a message whose work is done. False when the lock was lost: the message may come back."""

    async def dead_letter(self, delivery: Delivery, reason: str, message: str) -> None:
        """Move a message that can't become a training to the dead-letter queue, with the reason."""

    async def abandon(self, delivery: Delivery) -> None:
        """Unlock the message for immediate redelivery. May count as a failed delivery: use it only at shutdown."""

    async def renew_lock(self, delivery: Delivery) -> None:
        """Lock the message for another `lock_seconds`. Raises LostMessageError when the lock was lost."""

    async def pause(self) -> None:
        """Stop prefetching: leave waiting messages to other receivers until the next `receive`."""

    async def close(self) -> None:
        """Close the connections. Locked messages come back when their locks expire."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead-lettered message."""

    id: str
    """Its id in the dead-letter queue, not the id that it had in its queue."""
    message_id: str
    body: str
    """The original body as text; bytes that are no text are escaped."""
    reason: str
    """One CamelCase word, or empty."""
    message: str
    """Why it was dead-lettered, in a sentence."""
    time: str
    """When it was dead-lettered, or sent where that is unknown: ISO 8601 in UTC."""


class DeadLetters(Protocol):
    """The dead-lettered messages of one queue, for the administrator. Methods may raise SourceUnavailableError."""

    @property
    def identity(self) -> str:
        """Name of the poison queue or the dead-letter sub-queue."""

    async def waiting(self) -> int | None:
        """Number of messages in the queue itself, locked ones included; None where the service doesn't report it."""

    async def count(self) -> int | None:
        """Number of dead-lettered messages; None where the service doesn't report it."""

    async def peek(self, limit: int) -> Sequence[DeadLetter]:
        """Read the oldest messages without removing them."""

    async def requeue(self, ids: Collection[str] | None) -> Sequence[str]:
        """Send these messages (None: all that are there now) to the queue again, then delete them here.

        Returns:
            The ids that were requeued.
        """

    async def purge(self, ids: Collection[str] | None) -> Sequence[str]:
        """Delete these messages (None: all that are there now) for good.

        Returns:
            The ids that were deleted.
        """

    async def close(self) -> None:
        """Close the connections."""
