"""SIGTERM: end at once while nothing would be lost, else give the training time to save what it has learned.

The signal is heard by a thread: inside of torch, where a step may take seconds, no signal handler of Python's runs.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping

from vott_trainer.errors import EXIT_SIGTERM, InterruptedTrainingError

DEFAULT_GRACE_SECONDS = 30.0  # Kubernetes' own default
SPARE_SECONDS = 5.0  # between our end and the kubelet's SIGKILL


def grace_seconds(environment: Mapping[str, str] = os.environ) -> float:
    """Return how long Kubernetes waits between SIGTERM and SIGKILL (VOTT_GRACE_SECONDS)."""
    text = environment.get("VOTT_GRACE_SECONDS", "")
    return float(text) if text.isdecimal() else DEFAULT_GRACE_SECONDS


class Interruption:
    """Whether this process was asked to stop, and what then."""

    def __init__(self, leave: Callable[[int], object] = os._exit) -> None:
        self._requested = threading.Event()
        self._deferred = False
        self._leave = leave

    @property
    def requested(self) -> bool:
        """Whether SIGTERM has come."""
        return self._requested.is_set()

    def defer(self) -> None:
        """From now on a SIGTERM only sets `requested`: the training ends itself, before Kubernetes does it."""
        self._deferred = True

    def obey(self) -> None:
        """Nothing is left to lose here: from now on a SIGTERM ends the process at once again."""
        self._deferred = False

    def check(self) -> None:
        """Raise InterruptedTrainingError if SIGTERM has come."""
        if self.requested:
            raise InterruptedTrainingError

    def listen(self) -> None:
        """Hear SIGTERM from now on; call this in the main thread, once."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        signal.signal(signal.SIGTERM, lambda *_: None)
        threading.Thread(target=self._hear, args=(reader, writer), name="SIGTERM", daemon=True).start()

    def request(self) -> None:
        """Do what SIGTERM does."""
        if not self._deferred:
            _say("SIGTERM: stopping")
            self._leave(EXIT_SIGTERM)
        elif not self.requested:
            _say("SIGTERM: stopping as soon as nothing is lost")
            self._requested.set()
            patience = max(1.0, grace_seconds() - SPARE_SECONDS)
            timer = threading.Timer(patience, self._give_up)
            timer.daemon = True
            timer.start()

    def _give_up(self) -> None:
        _say("SIGTERM: the time is over; the training goes on from its last checkpoint")
        self._leave(EXIT_SIGTERM)

    def _hear(self, reader: socket.socket, _kept_open: socket.socket) -> None:
        while number := reader.recv(1):
            if number[0] == signal.SIGTERM:
                self.request()


PROCESS = Interruption()
"""That of this process."""


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())  # not by logging, whose lock the interrupted thread may hold
