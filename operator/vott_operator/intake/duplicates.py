"""Duplicate detection: messages of the same content within `queues[].duplicateWindowSeconds`, or with the same id."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from weakref import WeakValueDictionary

from vott_messaging.queues.base import Delivery
from vott_operator.api import constants as c
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
        self._content_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._id_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def is_enabled(self) -> bool:
        """Whether the queue has a window."""
        return self._window_seconds > 0

    def content_lock(self, digest: str) -> asyncio.Lock:
        """The lock to hold from `find` until the TrainingJob is stored: two messages of one content may be in flight."""
        return self._content_locks.setdefault(digest, asyncio.Lock())

    def id_lock(self, message_id: str) -> asyncio.Lock:
        """The same for `find_resent`. It may be taken inside the other one: a sender's id may be the digest of a content."""
        return self._id_locks.setdefault(message_id, asyncio.Lock())

    def find(self, digest: str, delivery: Delivery) -> TrainingJob | None:
        """The TrainingJob of another message with this content within the window, unless it failed or was deleted."""
        for trainingjob in self._without_failed(digest):
            age = self._clock() - datetime.fromisoformat(trainingjob.metadata.creation_timestamp)
            is_own = trainingjob.is_from(delivery.id, delivery.sequence)
            if age.total_seconds() <= self._window_seconds and not is_own:
                return trainingjob
        return None

    def find_resent(self, digest: str, delivery: Delivery) -> TrainingJob | None:
        """The TrainingJob of another message with this id and content, if it had not ended when this message was sent.

        So a client that sends again because it got no answer trains once, and a person who presses the button again trains again.
        """
        for trainingjob in self._without_failed(digest):
            if trainingjob.is_from(delivery.id) and not _ended_before(trainingjob, delivery.enqueued):
                return trainingjob
        return None

    def _without_failed(self, digest: str) -> list[TrainingJob]:
        found = self._store.find_by_content(self._queue, digest)
        return [trainingjob for trainingjob in found if not (trainingjob.failed or trainingjob.deleting)]


def _ended_before(trainingjob: TrainingJob, time: datetime | None) -> bool:
    complete = trainingjob.condition(c.COMPLETE)
    if time is None or complete is None or complete.status != "True":
        return False
    return datetime.fromisoformat(complete.last_transition_time) < time
