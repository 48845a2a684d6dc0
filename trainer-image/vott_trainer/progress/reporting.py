"""Reporting of one training: progress to the TrainingJob and the callback, then the outcome.

With a TrainingJob the operator posts the outcome to the callback, without one the trainer does.
"""

import contextlib
import logging
from collections.abc import Iterator

from vott_guard.callback_payload import CallbackState
from vott_trainer.errors import InterruptedTrainingError, describe
from vott_trainer.progress.callback import Callback
from vott_trainer.progress.progress import Progress
from vott_trainer.progress.reporter import Receiver, Reporter
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.progress.trainingjob_status import TrainingJobStatus
from vott_trainer.stores.store import StoredObject

log = logging.getLogger(__name__)

JOB_WITHOUT_KUBERNETES = "local"


class Reporting:
    """The receivers of one training's reports."""

    def __init__(self, trainingjob: str | None, trainingjob_uid: str, callback_url: str | None) -> None:
        """Prepare the receivers.

        Raises:
            InvalidParametersError: `trainingjob` is not `NAMESPACE/NAME`, or this is not a pod.
        """
        self._job = TrainingJobStatus.in_cluster(trainingjob, trainingjob_uid) if trainingjob else None
        self._callback = _callback(callback_url, self._job) if callback_url else None
        self._progress, self._reporter = Progress(), Reporter([])

    def start(self, *, to_callback: bool) -> Progress:
        """Report progress from now on.

        Args:
            to_callback: False for a plugin that posts its progress itself.
        """
        receivers: list[Receiver] = [one for one in (self._job, self._callback if to_callback else None) if one]
        self._reporter = Reporter(receivers)
        self._progress = Progress(self._reporter)
        return self._progress

    @contextlib.contextmanager
    def failures_reported(self) -> Iterator[None]:
        """Stop reporting progress at the end; post a failure as the outcome. An interruption is not a failure."""
        try:
            yield
        except InterruptedTrainingError:
            self._reporter.close()
            raise
        except Exception as error:
            self._reporter.close()
            self._post_outcome("failed", describe(error))
            raise
        self._reporter.close()

    def report_model(self, model: StoredObject) -> None:
        """Report the delivered model to the TrainingJob, and wait until the report has arrived.

        Raises:
            TemporaryFailureError: it did not arrive after all attempts.
        """
        snapshot = self._progress.complete(model)
        if self._job:
            self._job.send_until_accepted(snapshot)

    def post_success(self) -> None:
        """Post the success as the outcome."""
        self._post_outcome("succeeded", self._progress.snapshot.message)

    def _post_outcome(self, state: CallbackState, message: str) -> None:
        if self._callback and not self._job:
            _post(self._callback, self._progress.snapshot, state, message)


def post_usage_error(callback_url: str, error: Exception) -> None:
    """Post the failure of a training that could not start."""
    _post(_callback(callback_url, None), Snapshot(), "failed", describe(error))


def _callback(url: str, job: TrainingJobStatus | None) -> Callback:
    return Callback(url, job.job if job else JOB_WITHOUT_KUBERNETES)


def _post(callback: Callback, snapshot: Snapshot, state: CallbackState, message: str) -> None:
    try:
        callback.post(snapshot, state, message)
    except Exception as error:
        log.warning("the outcome could not be posted to the callback: %s", error)
