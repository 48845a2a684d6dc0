"""What the operator knows of a queue, whatever its kind."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

ClientT = TypeVar("ClientT")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message in hand: received, locked for a while, not yet settled."""

    id: str
    """The same each time this message is received."""
    body: bytes
    attempt: int
    """How often it was received, this time included."""
    lock_seconds: float
    """How long it is ours from its receipt, or from the last `extend`."""
    handle: Any
    """The source's own, for settling."""


class QueueSource(Protocol):
    """A queue whose messages are locked while in hand and come back when they are not settled.

    Every method may raise `SourceUnavailableError` when the queue can't be reached, and whoever calls it tries again later.
    Settling a message that somebody else has by now, or that is gone, changes nothing and raises nothing.
    """

    @property
    def identity(self) -> str:
        """Names the queue among all queues of the world, without any credential: part of every TrainingJob's name."""

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """Up to `limit` messages, as soon as there is one; none when there was none for `wait_seconds`."""

    async def complete(self, delivery: Delivery) -> bool:
        """The message has become a TrainingJob: remove it. False when it was not ours to remove: it may come back."""

    async def reject(self, delivery: Delivery, reason: str, message: str) -> None:
        """The message can never become a TrainingJob: put it aside with the reason, then remove it."""

    async def release(self, delivery: Delivery) -> None:
        """Let the message come back at once. It may count as a failed delivery, so this is for the operator's own end."""

    async def extend(self, delivery: Delivery) -> None:
        """Keep the message in hand for another `lock_seconds`. Raises LostMessageError when it is no longer ours."""

    async def pause(self) -> None:
        """Nothing will be received for a while: leave waiting messages to others."""

    async def close(self) -> None:
        """Close the connections. What is still in hand comes back when its lock ends."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was put aside."""

    id: str
    """Names it among those put aside; not the id that it had in its queue."""
    message_id: str
    body: str
    """What was sent; bytes that are no text are shown as escapes."""
    reason: str
    """One CamelCase word, empty where nobody gave one."""
    message: str
    """Why, in a sentence."""
    time: str
    """When it was put aside, or sent where that is not known: ISO 8601 in UTC."""


class DeadLetters(Protocol):
    """What was put aside from one queue, for whoever repairs it. Methods may raise `SourceUnavailableError`."""

    @property
    def identity(self) -> str:
        """Names the place: the poison queue or the dead-letter sub-queue."""

    async def waiting(self) -> int | None:
        """How many messages are in the queue itself, those in hand included; None where the service does not tell."""

    async def count(self) -> int | None:
        """How many there are; None where the service does not tell."""

    async def peek(self, limit: int) -> Sequence[DeadLetter]:
        """The oldest, left where they are."""

    async def requeue(self, ids: Collection[str] | None) -> Sequence[str]:
        """Send these (None: all that are there now) to the queue again, then remove them here. Returns the ids done."""

    async def purge(self, ids: Collection[str] | None) -> Sequence[str]:
        """Remove these (None: all that are there now) for good. Returns the ids done."""

    async def close(self) -> None:
        """Close the connections."""


class Connection(Generic[ClientT]):
    """A client that is opened when it is first needed, and anew when `fingerprint` says that its credentials changed.

    For one task at a time; `storage_connection.py` is for several.
    """

    def __init__(
        self,
        open_: Callable[[], ClientT],
        close: Callable[[ClientT], Awaitable[None]],
        fingerprint: Callable[[], Hashable],
    ) -> None:
        self._open = open_
        self._close = close
        self._fingerprint = fingerprint
        self._client: ClientT | None = None
        self._opened_with: Hashable = None

    @property
    def is_stale(self) -> bool:
        """Whether the next `client()` is another one."""
        return self._client is None or self._opened_with != self._fingerprint()

    async def client(self) -> ClientT:
        """The client for the credentials of now. Raises SettingsError when those can't be used."""
        if self._client is not None and not self.is_stale:
            return self._client
        await self.close()
        self._opened_with = self._fingerprint()
        self._client = self._open()
        return self._client

    async def close(self) -> None:
        """Close the client, if one is open. The next `client()` opens another."""
        client, self._client = self._client, None
        if client is not None:
            await self._close(client)
