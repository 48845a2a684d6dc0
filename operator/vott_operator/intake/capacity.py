"""How many TrainingJobs of one queue's messages may be unfinished. Each queue has limits of its own (ADR 28)."""

from vott_operator.cluster.store import Store
from vott_operator.settings.queue import QueueLimits


class Capacity:
    """The room of one queue."""

    def __init__(self, store: Store, queue: str, limits: QueueLimits) -> None:
        """`queue` is its identity, see `QueueSource`."""
        self.limits = limits
        self._store = store
        self._queue = queue
        self._reserved = 0

    @property
    def unfinished(self) -> int:
        """Unfinished TrainingJobs of the queue, without those that wait for quota."""
        return self._store.unfinished(self._queue)

    @property
    def waiting_for_quota(self) -> int:
        """TrainingJobs of the queue that are suspended or wait for quota."""
        return self._store.waiting_for_quota(self._queue)

    @property
    def available(self) -> int:
        """New TrainingJobs that the queue may create now. A new one may turn out to wait for quota, so both limits apply."""
        free = min(self.limits.unfinished - self.unfinished, self.limits.waiting_for_quota - self.waiting_for_quota)
        return free - self._reserved

    def reserve(self) -> None:
        """Reserve capacity for one message until `release`."""
        self._reserved += 1

    def release(self) -> None:
        """Release the reservation of one message: the Store counts its TrainingJob now, or there is none."""
        self._reserved -= 1
