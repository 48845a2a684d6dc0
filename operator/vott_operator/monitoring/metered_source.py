"""A queue that counts its messages in the metrics."""

from collections.abc import Sequence

from vott_messaging.queues.base import Delivery, QueueSource
from vott_messaging.queues.forwarding import ForwardingSource
from vott_operator import metrics


class MeteredSource(ForwardingSource):
    """A `QueueSource` that passes everything on. `label` is the queue's, in the metrics."""

    def __init__(self, source: QueueSource, label: str) -> None:
        super().__init__(source)
        self._label = label

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """See QueueSource."""
        try:
            deliveries = await super().receive(limit, wait_seconds)
        except Exception:
            metrics.QUEUE_UP.labels(self._label).set(0)
            metrics.RECEIVE_ERRORS.labels(self._label).inc()
            raise
        metrics.QUEUE_UP.labels(self._label).set(1)
        metrics.MESSAGES_RECEIVED.labels(self._label).inc(len(deliveries))
        return deliveries

    async def complete(self, delivery: Delivery) -> bool:
        """See QueueSource."""
        completed = await super().complete(delivery)
        if not completed:
            self._count("lock_lost")
        return completed  # Intake counts the others: only it knows whether the message was a duplicate

    async def dead_letter(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource."""
        await super().dead_letter(delivery, reason, message)
        self._count("rejected")
        metrics.MESSAGES_REJECTED.labels(self._label, reason).inc()

    async def abandon(self, delivery: Delivery) -> None:
        """See QueueSource."""
        await super().abandon(delivery)
        self._count("given_back")

    def _count(self, result: str) -> None:
        metrics.MESSAGES_SETTLED.labels(self._label, result).inc()
