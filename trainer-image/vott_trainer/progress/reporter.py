"""Send reports in the background: to each receiver the newest snapshot, never more often than its interval permits.

Each receiver has its own thread, so that a slow callback delays neither the training nor the TrainingJob's reports.
A slow receiver gets fewer reports, always the newest. One that did not arrive is sent again, unless a newer one replaces it.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from vott_trainer.http.retry import AttemptError
from vott_trainer.progress.report_interval import ReportInterval
from vott_trainer.progress.snapshot import Snapshot

log = logging.getLogger(__name__)

FLUSH_SECONDS = 10.0  # how long a receiver may delay the end of the program


class UnsubscribedError(Exception):
    """The receiver accepts no more reports."""


class Receiver(Protocol):
    """Receives reports; `name` is for the log."""

    name: str

    def send(self, snapshot: Snapshot) -> float | None:
        """Send one report; any exception means that it did not arrive.

        Returns:
            The seconds between two reports that the receiver asks for, if it does.
        """


class StatusReceiver(Receiver, Protocol):
    """A receiver whose reader posts the outcome to the callback, once it has the last report."""

    def send_until_accepted(self, snapshot: Snapshot) -> None:
        """Send the last report, and wait until it has arrived.

        Raises:
            TemporaryFailureError: it did not arrive after all attempts.
        """


class Reporter:
    """Passes snapshots to the receivers. A receiver's failure is logged once, until it works again."""

    def __init__(self, receivers: list[Receiver], interval: Callable[[], ReportInterval] = ReportInterval) -> None:
        """Each receiver has its own `interval`."""
        self._channels = [_Channel(receiver, interval()) for receiver in receivers]

    def __call__(self, snapshot: Snapshot) -> None:
        """Accept a snapshot and return at once."""
        for channel in self._channels:
            channel.offer(snapshot)

    def close(self) -> None:
        """Send the last snapshots without waiting for the interval, and stop. Waits for each receiver, but not for long."""
        for channel in self._channels:
            channel.close()
        for channel in self._channels:
            channel.join(FLUSH_SECONDS)

    def wait_for(self, receiver: Receiver) -> None:
        """After `close`, wait until no report is being sent to this receiver, however long: it would replace a later one."""
        for channel in self._channels:
            if channel.receiver is receiver:
                channel.join()


class _Channel:
    """One receiver, its thread, and the one snapshot to be sent next."""

    def __init__(self, receiver: Receiver, interval: ReportInterval) -> None:
        self.receiver = receiver
        self._interval = interval
        self._changed = threading.Condition()
        self._next: Snapshot | None = None
        self._closed = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=f"report to {receiver.name}", daemon=True)
        self._thread.start()

    def offer(self, snapshot: Snapshot) -> None:
        with self._changed:
            self._next = snapshot
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self, seconds: float | None = None) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        is_last = False
        try:
            while not is_last:
                snapshot, is_last = self._wait_for_next()
                if snapshot is not None and not self._send(snapshot):
                    self._send_again(snapshot)
        except UnsubscribedError as error:
            log.warning("%s gets no more reports: %s", self.receiver.name, error)

    def _wait_for_next(self) -> tuple[Snapshot | None, bool]:
        """Wait until a snapshot is due; return it, if any, and whether it is the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._next or self._closed)
            self._changed.wait_for(lambda: self._closed, timeout=max(0.0, self._interval.due - time.monotonic()))
            snapshot, self._next = self._next, None
            return snapshot, self._closed

    def _send_again(self, snapshot: Snapshot) -> None:
        with self._changed:
            self._next = self._next or snapshot

    def _send(self, snapshot: Snapshot) -> bool:
        """Send one report, and return whether it arrived."""
        started = time.monotonic()
        try:
            asked = self.receiver.send(snapshot)
        except UnsubscribedError:
            raise
        except Exception as error:  # a report must never end a training
            retry_after = error.retry_after if isinstance(error, AttemptError) else 0.0
            self._interval.failed(started, time.monotonic(), retry_after)
            if not self._failing:
                log.warning("a report to %s failed, training continues: %s", self.receiver.name, error)
            self._failing = True
            return False
        self._interval.accepted(started, time.monotonic(), asked)
        self._failing = False
        return True
