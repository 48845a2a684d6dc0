"""How many TrainingJobs may be unfinished (`maxUnfinishedJobs`), divided evenly among the queues."""

from vott_operator.cluster.store import Store


class Capacity:
    """The limit of unfinished TrainingJobs, as one queue sees it."""

    def __init__(self, store: Store, max_unfinished_jobs: int, queues: int) -> None:
        self._store = store
        self._limit = max_unfinished_jobs
        self._queues = max(1, queues)
        self._reserved = 0

    @property
    def share(self) -> int:
        """Messages that one queue may hold at a time, at least 1. No queue takes the capacity of the others."""
        return self._divide(self._limit)

    @property
    def available(self) -> int:
        """New TrainingJobs that one queue may create now.

        Queues that take the last capacity at the same time may exceed the limit, by less than their number.
        """
        return self._divide(self._limit - self._store.unfinished - self._reserved)

    def reserve(self) -> None:
        """Reserve capacity for one message until `release`."""
        self._reserved += 1

    def release(self) -> None:
        """Release the reservation of one message: the Store counts its TrainingJob now, or there is none."""
        self._reserved -= 1

    def _divide(self, total: int) -> int:
        return -(-total // self._queues)
