"""Progress callbacks, where callbacks are signed: the operator posts for the trainer, which has no signing key.

Of each training only the newest report is posted.
"""

from functools import partial

from vott_guard.backoff import Backoff
from vott_messaging.callbacks.payload import progress_payload
from vott_messaging.callbacks.progress_receiver import BACKOFF, INTERVAL_SECONDS, ProgressReceiver
from vott_messaging.callbacks.sender import CallbackSender
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.report import progress_report
from vott_operator.callbacks.url import CallbackURLs
from vott_operator.cluster.store import Store


class ProgressCallbacks:
    """Posts progress. `send` has a WorkQueue without a limit to itself, with each TrainingJob that changed."""

    def __init__(self, store: Store, urls: CallbackURLs, sender: CallbackSender, backoff: Backoff = BACKOFF) -> None:
        self._store = store
        self._urls = urls
        self._sender = sender
        self._backoff = backoff
        self._receivers: dict[Key, ProgressReceiver] = {}
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
        trainingjob, progress = observed.trainingjob, observed.trainingjob.status.progress
        receiver = self._receiver(trainingjob)
        if progress is None or not receiver.wants(report := progress.model_dump_json()):
            return None
        if trainingjob.status.phase != c.RUNNING:  # the report is of an earlier run
            return INTERVAL_SECONDS
        if (remaining := receiver.remaining_seconds) > 0:
            return remaining
        self._posting.add(key)
        try:
            body = progress_payload(trainingjob.metadata.name, progress_report(progress))
            await receiver.post(report, body, partial(self._urls.read, trainingjob))
        finally:
            self._posting.discard(key)
        return receiver.remaining_seconds if receiver.wants(report) else None

    def _receiver(self, trainingjob: TrainingJob) -> ProgressReceiver:
        receiver = self._receivers.get(trainingjob.key)
        if receiver is None or receiver.uid != trainingjob.metadata.uid:
            receiver = ProgressReceiver(self._sender, trainingjob.metadata.uid, str(trainingjob.key), self._backoff)
            self._receivers[trainingjob.key] = receiver
        return receiver
