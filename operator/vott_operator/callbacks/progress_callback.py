"""Progress callbacks, where callbacks are signed: the operator posts for the trainer, which has no signing key.

Each report is posted at most once, the newest of each training only: the next report replaces one that is lost.
"""

import asyncio
import logging
from dataclasses import dataclass

from vott_guard.backoff import Backoff
from vott_guard.callback_payload import in_fold
from vott_messaging import names
from vott_messaging.callbacks.payload import payload
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.errors import CallbackError
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.status import Progress
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.report import progress_report
from vott_operator.callbacks.url import callback_url
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.store import Store

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0
BACKOFF = Backoff(first=2 * INTERVAL_SECONDS, longest=60.0)
"""For a receiver that does not accept reports."""
PAUSE_FACTOR = 4.0
"""Pause after a post, as a multiple of its duration: slow receivers must not occupy all workers."""


@dataclass(slots=True)
class _Receiver:
    """The callback of one TrainingJob."""

    uid: str
    url: str = ""
    """With its credential; cached so that not every report reads the Secret."""
    posted: Progress | None = None
    """The last report, delivered or not."""
    due: float = 0.0
    """When the next report may be posted, in the event loop's time."""
    failures: int = 0
    unsubscribed: bool = False
    """Whether it answered 410 Gone, or the rules refuse it."""

    def count_failure(self) -> None:
        """Count a report that was not accepted."""
        self.failures += 1
        self.url = ""  # the Secret may have been fixed


class ProgressCallbacks:
    """Posts progress. `send` has a WorkQueue to itself, with each TrainingJob that changed."""

    def __init__(self, cluster: Cluster, store: Store, sender: CallbackSender, backoff: Backoff = BACKOFF) -> None:
        self._cluster = cluster
        self._store = store
        self._sender = sender
        self._backoff = backoff
        self._receivers: dict[Key, _Receiver] = {}
        self._posting: set[Key] = set()

    def is_posting(self, key: Key) -> bool:
        """Whether a report is being posted."""
        return key in self._posting

    async def send(self, key: Key) -> float | None:
        """Post the newest report, unless it was posted before. Returns the seconds to wait if it is not due yet."""
        observed = self._store.observed(key)
        if observed is None or observed.trainingjob.finished or observed.trainingjob.spec.callback is None:
            self._receivers.pop(key, None)
            return None
        receiver, progress = self._receiver(observed.trainingjob), observed.trainingjob.status.progress
        if progress is None or progress == receiver.posted or receiver.unsubscribed:
            return None
        if observed.trainingjob.status.phase != c.RUNNING:  # the report is of an earlier run
            return INTERVAL_SECONDS
        if (remaining := receiver.due - asyncio.get_running_loop().time()) > 0:
            return remaining
        self._posting.add(key)
        try:
            await self._post(observed.trainingjob, progress, receiver)
        finally:
            self._posting.discard(key)
        return None

    def _receiver(self, trainingjob: TrainingJob) -> _Receiver:
        receiver = self._receivers.get(trainingjob.key)
        if receiver is None or receiver.uid != trainingjob.metadata.uid:
            receiver = self._receivers[trainingjob.key] = _Receiver(trainingjob.metadata.uid)
        return receiver

    async def _post(self, trainingjob: TrainingJob, progress: Progress, receiver: _Receiver) -> None:
        loop = asyncio.get_running_loop()
        receiver.posted = progress
        pause, started = INTERVAL_SECONDS, loop.time()
        try:
            receiver.url = receiver.url or await callback_url(self._cluster, trainingjob)
            body = payload(trainingjob.metadata.name, "running", _message(progress), progress_report(progress))
            webhook_id = names.report_id(receiver.uid, progress.model_dump_json())
            await self._sender.send(receiver.url, webhook_id, body)
            receiver.failures = 0
        except CallbackError as error:
            receiver.unsubscribed = error.permanent
            receiver.count_failure()
            pause = self._backoff.seconds(receiver.failures)
            if receiver.failures == 1 or receiver.unsubscribed:
                logger.warning("%s: progress not delivered, training goes on: %s", trainingjob.key, error)
        receiver.due = loop.time() + max(pause, PAUSE_FACTOR * (loop.time() - started))


def _message(progress: Progress) -> str:
    if progress.epoch_current and progress.epoch_total:
        text = f"Epoch {progress.epoch_current} of {progress.epoch_total}"
        return in_fold(text, progress.fold_current or 1, progress.fold_total or 1)
    return "Training"
