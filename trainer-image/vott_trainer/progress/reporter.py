"""Reports in the background: the newest snapshot goes to each receiver at most every two seconds, and at each epoch's end.

Every receiver has a thread of its own, so that a slow callback neither slows the training nor delays the TrainingJob.
A slow receiver gets fewer reports, always the newest one.
"""

import logging
import threading
import time
from typing import Protocol

from vott_trainer.progress.snapshot import Snapshot

log = logging.getLogger(__name__)

INTERVAL = 2.0  # seconds between two reports
FLUSH_SECONDS = 10.0  # how long a receiver may keep the program from ending


class ReceiverGoneError(Exception):
    """The receiver wants no more reports."""


class Receiver(Protocol):
    """Takes reports; `name` is for the log."""

    name: str

    def send(self, snapshot: Snapshot) -> None:
        """Send one report; any exception means that it did not arrive."""


class Reporter:
    """Hands snapshots to the receivers. A failing receiver is logged once until it works again."""

    def __init__(self, receivers: list[Receiver], interval: float = INTERVAL) -> None:
        self._channels = [_Channel(receiver, interval) for receiver in receivers]

    def __call__(self, snapshot: Snapshot, milestone: bool = False) -> None:
        """Take a snapshot and return at once; a milestone is sent without waiting for the interval."""
        for channel in self._channels:
            channel.offer(snapshot, milestone)

    def close(self) -> None:
        """Send what is still waiting and stop; returns when no report is on its way any more."""
        for channel in self._channels:
            channel.close()
        for channel in self._channels:
            channel.join()


class _Channel:
    """One receiver, its thread, and the one snapshot that waits for it."""

    def __init__(self, receiver: Receiver, interval: float) -> None:
        self._receiver = receiver
        self._interval = interval
        self._changed = threading.Condition()
        self._waiting: Snapshot | None = None
        self._urgent = False
        self._closed = False
        self._failing = False
        self._last_sent = float("-inf")
        self._thread = threading.Thread(target=self._run, name=f"report to {receiver.name}", daemon=True)
        self._thread.start()

    def offer(self, snapshot: Snapshot, milestone: bool) -> None:
        with self._changed:
            self._waiting = snapshot
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
            while snapshot := self._next():
                self._send(snapshot)
        except ReceiverGoneError as error:
            log.warning("%s gets no more reports: %s", self._receiver.name, error)

    def _next(self) -> Snapshot | None:
        """Wait until a snapshot is due and return it; None after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._changed.wait_for(lambda: self._urgent or self._closed, timeout=self._pause())
            snapshot, self._waiting, self._urgent = self._waiting, None, False
            self._last_sent = time.monotonic()
            return snapshot

    def _pause(self) -> float:
        return max(0.0, self._last_sent + self._interval - time.monotonic())

    def _send(self, snapshot: Snapshot) -> None:
        try:
            self._receiver.send(snapshot)
            self._failing = False
        except ReceiverGoneError:
            raise
        except Exception as error:  # a report must never end a training, whatever went wrong
            if not self._failing:
                log.warning("a report to %s failed, training goes on: %s", self._receiver.name, error)
            self._failing = True
