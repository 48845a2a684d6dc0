"""Send reports in the background: to each receiver the newest snapshot, at intervals and at the end of each epoch.

Each receiver has its own thread, so that a slow callback delays neither the training nor the TrainingJob's reports.
A slow receiver gets fewer reports, always the newest.
"""

import logging
import threading
from typing import Protocol

from vott_trainer.progress import report_interval
from vott_trainer.progress.report_interval import ReportInterval
from vott_trainer.progress.snapshot import Snapshot

log = logging.getLogger(__name__)

FLUSH_SECONDS = 10.0  # how long a receiver may delay the end of the program


class UnsubscribedError(Exception):
    """The receiver accepts no more reports."""


class Receiver(Protocol):
    """Receives reports; `name` is for the log."""

    name: str

    def send(self, snapshot: Snapshot) -> None:
        """Send one report; any exception means that it did not arrive."""


class StatusReceiver(Receiver, Protocol):
    """A receiver whose reader posts the outcome to the callback, once it has the last report."""

    def send_until_accepted(self, snapshot: Snapshot) -> None:
        """Send the last report, and wait until it has arrived.

        Raises:
            TemporaryFailureError: it did not arrive after all attempts.
        """


class Reporter:
    """Passes snapshots to the receivers. A receiver's failure is logged once, until it works again."""

    def __init__(self, receivers: list[Receiver], interval: float = report_interval.SECONDS) -> None:
        self._channels = [_Channel(receiver, interval) for receiver in receivers]

    def __call__(self, snapshot: Snapshot, milestone: bool = False) -> None:
        """Accept a snapshot and return at once; a milestone does not wait for the interval."""
        for channel in self._channels:
            channel.offer(snapshot, milestone)

    def close(self) -> None:
        """Send the last snapshots and stop; returns when no report is being sent."""
        for channel in self._channels:
            channel.close()
        for channel in self._channels:
            channel.join()


class _Channel:
    """One receiver, its thread, and the one snapshot to be sent next."""

    def __init__(self, receiver: Receiver, interval: float) -> None:
        self._receiver = receiver
        self._interval = ReportInterval(interval)
        self._changed = threading.Condition()
        self._next: Snapshot | None = None
        self._urgent = False
        self._closed = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=f"report to {receiver.name}", daemon=True)
        self._thread.start()

    def offer(self, snapshot: Snapshot, milestone: bool) -> None:
        with self._changed:
            self._next = snapshot
            self._urgent = self._urgent or milestone
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self) -> None:
        self._thread.join(FLUSH_SECONDS)

    def _run(self) -> None:
        try:
            while snapshot := self._wait_for_next():
                self._send(snapshot)
        except UnsubscribedError as error:
            log.warning("%s gets no more reports: %s", self._receiver.name, error)

    def _wait_for_next(self) -> Snapshot | None:
        """Wait until a snapshot is due and return it; None after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._next or self._closed)
            self._changed.wait_for(lambda: self._urgent or self._closed, timeout=self._interval.remaining_seconds())
            snapshot, self._next, self._urgent = self._next, None, False
            self._interval.restart()
            return snapshot

    def _send(self, snapshot: Snapshot) -> None:
        try:
            self._receiver.send(snapshot)
            self._failing = False
        except UnsubscribedError:
            raise
        except Exception as error:  # a report must never end a training
            if not self._failing:
                log.warning("a report to %s failed, training continues: %s", self._receiver.name, error)
            self._failing = True
