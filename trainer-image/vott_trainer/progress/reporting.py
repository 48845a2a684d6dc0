"""Reporting of one training: progress to its status and the callback, then the outcome.

Whoever reads the status posts the outcome to the callback: the operator the TrainingJob's, a daemon the status file's. They know whether a
failed training is repeated. Without a status the trainer posts it.
"""

import contextlib
import logging
from collections.abc import Iterator

from vott_guard.callback_payload import CallbackState
from vott_trainer.errors import InterruptedTrainingError, describe
from vott_trainer.progress.callback import Callback
from vott_trainer.progress.progress import Progress
from vott_trainer.progress.reporter import Receiver, Reporter, StatusReceiver
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.stores.store import StoredObject

log = logging.getLogger(__name__)


class Reporting:
    """The receivers of one training's reports."""

    def __init__(self, status: StatusReceiver | None, callback: Callback | None) -> None:
        self._status, self._callback = status, callback
        self._progress, self._reporter = Progress(), Reporter([])

    def start(self, *, to_callback: bool) -> Progress:
        """Report progress from now on.

        Args:
            to_callback: False for a plugin that posts its progress itself.
        """
        receivers: list[Receiver] = [one for one in (self._status, self._callback if to_callback else None) if one]
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
        """Report the delivered model in the status, and wait until the report has arrived.

        Raises:
            TemporaryFailureError: it did not arrive after all attempts.
        """
        snapshot = self._progress.complete(model)
        if self._status:
            self._reporter.wait_for(self._status)
            self._status.send_until_accepted(snapshot)

    def post_success(self) -> None:
        """Post the success as the outcome."""
        self._post_outcome("succeeded", self._progress.snapshot.message)

    def _post_outcome(self, state: CallbackState, message: str) -> None:
        if self._callback and not self._status:
            _post(self._callback, self._progress.snapshot, state, message)


def post_usage_error(callback: Callback, error: Exception) -> None:
    """Post the failure of a training that could not start."""
    _post(callback, Snapshot(), "failed", describe(error))


def _post(callback: Callback, snapshot: Snapshot, state: CallbackState, message: str) -> None:
    try:
        callback.post_outcome(snapshot, state, message)
    except Exception as error:
        log.warning("the outcome could not be posted to the callback: %s", error)
