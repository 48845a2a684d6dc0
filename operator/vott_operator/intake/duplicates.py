"""Duplicate detection: messages of the same content within `queues[].duplicateWindowSeconds`."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from weakref import WeakValueDictionary

from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.store import Store


class Duplicates:
    """Finds the TrainingJob that an earlier message of the same content created."""

    def __init__(self, store: Store, queue: str, window_seconds: int, clock: Callable[[], datetime]) -> None:
        """`queue` is its identity, see `QueueSource`. A window of 0 seconds disables the detection."""
        self._store = store
        self._queue = queue
        self._window_seconds = window_seconds
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def is_enabled(self) -> bool:
        """Whether the queue has a window."""
        return self._window_seconds > 0

    def lock(self, digest: str) -> asyncio.Lock:
        """The lock to hold from `find` until the TrainingJob is stored: two messages of one content may be in flight."""
        return self._locks.setdefault(digest, asyncio.Lock())

    def find(self, digest: str, message_id: str) -> TrainingJob | None:
        """The TrainingJob of another message with this content, unless it failed or was deleted."""
        for trainingjob in self._store.find_by_content(self._queue, digest):
            age = self._clock() - datetime.fromisoformat(trainingjob.metadata.creation_timestamp)
            may_retry = trainingjob.failed or trainingjob.deleting
            if age.total_seconds() <= self._window_seconds and not may_retry and not trainingjob.is_from(message_id):
                return trainingjob
        return None
