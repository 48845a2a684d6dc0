"""Progress to the callbacks that are signed: the trainer has no key, so the operator passes its reports on.

The newest report of each training, at most every two seconds, each posted once: what is lost the next one replaces.
"""

import asyncio
import logging
from dataclasses import dataclass

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import Progress, TrainingJob
from vott_operator.callbacks.sender import CallbackSender, payload
from vott_operator.callbacks.url import callback_url
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.store import Store
from vott_operator.errors import CallbackError

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0
MAX_INTERVAL_SECONDS = 60.0
"""Of a receiver that does not take the reports."""
IDLE_SHARE = 4.0
"""A receiver is left alone so many times as long as it took: slow ones must not keep all workers from the others."""


@dataclass(slots=True)
class _Receiver:
    """The callback of one TrainingJob, and what it was told."""

    uid: str
    url: str = ""
    """With its credential, from the first report on: the Secret need not be read for each."""
    told: Progress | None = None
    due: float = 0.0
    """When the next report may go, in the event loop's time."""
    failures: int = 0
    gone: bool = False
    """It wants no more, or is not allowed."""

    def failed(self) -> float:
        """It did not take a report: how long to leave it alone."""
        self.failures += 1
        self.url = ""  # somebody may mend the Secret
        return min(MAX_INTERVAL_SECONDS, INTERVAL_SECONDS * 2.0 ** min(self.failures, 10))


class ProgressRelay:
    """Tells callbacks how far their trainings are. `tell` is the work of a WorkQueue of its own, for each TrainingJob that was noticed."""

    def __init__(self, cluster: Cluster, store: Store, callbacks: CallbackSender) -> None:
        self._cluster = cluster
        self._store = store
        self._callbacks = callbacks
        self._receivers: dict[Key, _Receiver] = {}
        self._posting: set[Key] = set()

    def is_posting(self, key: Key) -> bool:
        """Whether a report is on its way: the last word has to come after it."""
        return key in self._posting

    async def tell(self, key: Key) -> float | None:
        """Post the newest report, if there is one. Returns the seconds after which to come back where it may not go yet."""
        observed = self._store.observed(key)
        if observed is None or observed.trainingjob.finished or observed.trainingjob.spec.callback is None:
            self._receivers.pop(key, None)
            return None
        receiver, progress = self._receiver(observed.trainingjob), observed.trainingjob.status.progress
        if progress is None or progress == receiver.told or receiver.gone:
            return None
        if observed.trainingjob.status.phase != c.RUNNING:  # what it reported is of the time before
            return INTERVAL_SECONDS
        if (remaining := receiver.due - _now()) > 0:
            return remaining
        self._posting.add(key)
        try:
            await self._post(observed.trainingjob, progress, receiver)
        finally:
            self._posting.discard(key)
        return None

    def _receiver(self, trainingjob: TrainingJob) -> _Receiver:
        known = self._receivers.get(trainingjob.key)
        if known is None or known.uid != trainingjob.metadata.uid:
            known = self._receivers[trainingjob.key] = _Receiver(trainingjob.metadata.uid)
        return known

    async def _post(self, trainingjob: TrainingJob, progress: Progress, receiver: _Receiver) -> None:
        receiver.told = progress
        pause, began = INTERVAL_SECONDS, _now()
        try:
            receiver.url = receiver.url or await callback_url(self._cluster, trainingjob)
            report = payload(trainingjob.metadata.name, "running", _message(progress), progress)
            webhook_id = names.report_id(receiver.uid, progress.model_dump_json())
            await self._callbacks.send(receiver.url, webhook_id, report)
            receiver.failures = 0
        except CallbackError as error:
            receiver.gone = error.permanent
            pause = receiver.failed()
            if receiver.failures == 1 or receiver.gone:
                logger.warning("%s: progress not told, training goes on: %s", trainingjob.key, error)
        receiver.due = _now() + max(pause, IDLE_SHARE * (_now() - began))


def _message(progress: Progress) -> str:
    if progress.epoch_current and progress.epoch_total:
        return f"Epoch {progress.epoch_current} of {progress.epoch_total}"
    return "Training"


def _now() -> float:
    return asyncio.get_running_loop().time()
