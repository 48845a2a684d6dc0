"""A queue that passes everything on to another one: the base of those that add something."""

from collections.abc import Sequence

from vott_messaging.queues.base import Backlog, Delivery, QueueSource


class ForwardingSource:
    """A `QueueSource` that passes everything on."""

    def __init__(self, source: QueueSource) -> None:
        self._source = source
        self.identity = source.identity

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """See QueueSource."""
        return await self._source.receive(limit, wait_seconds)

    async def backlog(self) -> Backlog:
        """See QueueSource."""
        return await self._source.backlog()

    async def complete(self, delivery: Delivery) -> bool:
        """See QueueSource."""
        return await self._source.complete(delivery)

    async def dead_letter(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource."""
        await self._source.dead_letter(delivery, reason, message)

    async def abandon(self, delivery: Delivery) -> None:
        """See QueueSource."""
        await self._source.abandon(delivery)

    async def renew_lock(self, delivery: Delivery) -> None:
        """See QueueSource."""
        await self._source.renew_lock(delivery)

    async def pause(self) -> None:
        """See QueueSource."""
        await self._source.pause()

    async def close(self) -> None:
        """See QueueSource."""
        await self._source.close()
