"""The one interface that intake knows of a queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message in hand: received, locked for a while, not yet settled."""

    id: str
    body: str
    attempt: int
    """How often it was received, this time included."""
    handle: Any
    """The source's own, for settling."""


class QueueSource(Protocol):
    """A queue whose messages are locked while in hand and come back when they are not settled.

    Every method may raise `SourceUnavailableError` when the queue can't be reached, and whoever calls it tries again later.
    """

    @property
    def identity(self) -> str:
        """Names the queue among all queues of the world, without any credential: part of every TrainingJob's name."""

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Up to `limit` messages that are there now; none when the queue is empty."""

    async def complete(self, delivery: Delivery) -> None:
        """The message has become a TrainingJob: remove it. One that is gone already is as good."""

    async def reject(self, delivery: Delivery, reason: str, message: str) -> None:
        """The message can never become a TrainingJob: put it aside with the reason, then remove it."""

    async def release(self, delivery: Delivery, delay_seconds: float) -> None:
        """The message could not be handled now: let it come back after the delay."""

    async def close(self) -> None:
        """Close the connections. What is still in hand comes back when its lock ends."""
