"""A queue that counts in the metrics what becomes of its messages."""

from collections.abc import Sequence

from vott_messaging.queues.base import Delivery, QueueSource
from vott_messaging.queues.forwarding import ForwardingSource
from vott_traind.metrics import Metrics


class MeteredSource(ForwardingSource):
    """A `QueueSource` that passes everything on."""

    def __init__(self, source: QueueSource, metrics: Metrics) -> None:
        super().__init__(source)
        self._metrics = metrics
        self.failures = 0
        """Failed attempts to receive since the last that succeeded."""

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """See QueueSource."""
        try:
            deliveries = await super().receive(limit, wait_seconds)
        except Exception:
            self.failures += 1
            self._metrics.receive_errors.labels(self.identity).inc()
            raise
        self.failures = 0
        self._metrics.received.labels(self.identity).inc(len(deliveries))
        return deliveries

    async def complete(self, delivery: Delivery) -> bool:
        """See QueueSource."""
        completed = await super().complete(delivery)
        self._count("completed" if completed else "lock_lost")
        return completed

    async def dead_letter(self, delivery: Delivery, reason: str, message: str) -> None:
        """See QueueSource."""
        await super().dead_letter(delivery, reason, message)
        self._count("dead_lettered")

    async def abandon(self, delivery: Delivery) -> None:
        """See QueueSource."""
        await super().abandon(delivery)
        self._count("abandoned")

    def _count(self, result: str) -> None:
        self._metrics.settled.labels(self.identity, result).inc()
