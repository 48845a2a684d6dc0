"""SIGTERM handling: end at once while nothing would be lost, otherwise let the training save first.

A thread receives the signal: Python runs no signal handlers inside torch, where a step may take seconds.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping

from vott_guard import exit_codes
from vott_trainer.errors import InterruptedTrainingError

DEFAULT_GRACE_SECONDS = 30.0  # Kubernetes' default
SPARE_SECONDS = 5.0  # between the end of this process and the kubelet's SIGKILL


def grace_seconds(environment: Mapping[str, str] = os.environ) -> float:
    """Return the seconds from SIGTERM to SIGKILL (VOTT_GRACE_SECONDS)."""
    text = environment.get("VOTT_GRACE_SECONDS", "")
    return float(text) if text.isdecimal() else DEFAULT_GRACE_SECONDS


class Interruption:
    """Whether SIGTERM was received, and whether it ends the process at once."""

    def __init__(self, leave: Callable[[int], object] = os._exit) -> None:
        self._requested = threading.Event()
        self._deferred = False
        self._leave = leave

    @property
    def requested(self) -> bool:
        """Whether SIGTERM was received."""
        return self._requested.is_set()

    def defer(self) -> None:
        """Only set `requested` at SIGTERM from now on: the training must end itself within the grace period."""
        self._deferred = True

    def stop_deferring(self) -> None:
        """End the process at once at SIGTERM from now on: nothing is left to save."""
        self._deferred = False

    def check(self) -> None:
        """Raise InterruptedTrainingError if SIGTERM was received."""
        if self.requested:
            raise InterruptedTrainingError

    def listen(self) -> None:
        """Handle SIGTERM from now on; call this once, in the main thread."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        signal.signal(signal.SIGTERM, lambda *_: None)
        threading.Thread(target=self._receive, args=(reader, writer), name="SIGTERM", daemon=True).start()

    def request(self) -> None:
        """Act as at SIGTERM."""
        if not self._deferred:
            print_at_signal("SIGTERM: stopping")
            self._leave(exit_codes.SIGTERM)
        elif not self.requested:
            print_at_signal("SIGTERM: stopping as soon as nothing is lost")
            self._requested.set()
            timer = threading.Timer(max(1.0, grace_seconds() - SPARE_SECONDS), self._give_up)
            timer.daemon = True
            timer.start()

    def _give_up(self) -> None:
        print_at_signal("SIGTERM: the grace period is over; the training resumes from its last checkpoint")
        self._leave(exit_codes.SIGTERM)

    def _receive(self, reader: socket.socket, _kept_open: socket.socket) -> None:
        while number := reader.recv(1):
            if number[0] == signal.SIGTERM:
                self.request()


PROCESS = Interruption()
"""This process's interruption."""


def print_at_signal(text: str) -> None:
    """Print a line, unless stdout is closed or its reader is gone: a daemon that was killed must not keep its trainings from saving."""
    with contextlib.suppress(OSError):
        os.write(1, f"{text}\n".encode())  # not logging: the interrupted thread may hold its lock
