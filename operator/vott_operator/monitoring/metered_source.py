"""A queue that counts its messages in the metrics."""

from collections.abc import Sequence

from vott_messaging.queues.base import Backlog, Delivery, QueueSource
from vott_operator import metrics


class MeteredSource:
    """A `QueueSource` that passes everything on. `label` is the queue's, in the metrics."""

    def __init__(self, source: QueueSource, label: str) -> None:
        self._source = source
        self._label = label
        self.identity = source.identity

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """See QueueSource."""
        try:
            deliveries = await self._source.receive(limit, wait_seconds)
        except Exception:
            metrics.QUEUE_UP.labels(self._label).set(0)
            metrics.RECEIVE_ERRORS.labels(self._label).inc()
            raise
        metrics.QUEUE_UP.labels(self._label).set(1)
        metrics.MESSAGES_RECEIVED.labels(self._label).inc(len(deliveries))
        return deliveries

    async def backlog(self) -> Backlog:
        """See QueueSource."""
        return await self._source.backlog()

    async def complete(self, delivery: Delivery) -> bool:
        """See QueueSource."""
        completed = await self._source.complete(delivery)
        if not completed:
            self._count("lock_lost")
        return completed  # Intake counts the others: only it knows whether the message was a duplicate

    async def dead_letter(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource."""
        await self._source.dead_letter(delivery, reason, message)
        self._count("rejected")
        metrics.MESSAGES_REJECTED.labels(self._label, reason).inc()

    async def abandon(self, delivery: Delivery) -> None:
        """See QueueSource."""
        await self._source.abandon(delivery)
        self._count("given_back")

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
        metrics.MESSAGES_SETTLED.labels(self._label, result).inc()
