"""A queue that counts in the metrics what becomes of its messages."""

from collections.abc import Sequence

from vott_messaging.queues.base import Backlog, Delivery, QueueSource
from vott_traind.metrics import Metrics


class MeteredSource:
    """A `QueueSource` that passes everything on."""

    def __init__(self, source: QueueSource, metrics: Metrics) -> None:
        self._source = source
        self._metrics = metrics
        self.identity = source.identity
        self.failures = 0
        """Failed attempts to receive since the last that succeeded."""

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """See QueueSource."""
        try:
            deliveries = await self._source.receive(limit, wait_seconds)
        except Exception:
            self.failures += 1
            self._metrics.receive_errors.labels(self.identity).inc()
            raise
        self.failures = 0
        self._metrics.received.labels(self.identity).inc(len(deliveries))
        return deliveries

    async def backlog(self) -> Backlog:
        """See QueueSource."""
        return await self._source.backlog()

    async def complete(self, delivery: Delivery) -> bool:
        """See QueueSource."""
        completed = await self._source.complete(delivery)
        self._count("completed" if completed else "lock_lost")
        return completed

    async def dead_letter(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource."""
        await self._source.dead_letter(delivery, reason, message)
        self._count("dead_lettered")

    async def abandon(self, delivery: Delivery) -> None:
        """See QueueSource."""
        await self._source.abandon(delivery)
        self._count("abandoned")

    async def renew_lock(self, delivery: Delivery) -> None:
        """See QueueSource."""
        await self._source.renew_lock(delivery)

    async def pause(self) -> None:
        """See QueueSource."""
        await self._source.pause()

    async def close(self) -> None:
        """See QueueSource."""
        await self._source.close()

    def _count(self, result: str) -> None:
        self._metrics.settled.labels(self.identity, result).inc()
