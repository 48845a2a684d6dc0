"""Two operator processes, restarted whenever they exit, as by a kubelet."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

from localcluster.child_process import start_child
from localcluster.ports import free_ports
from tests.chaos.fault_log import FaultLog
from tests.support.operator_process import PYTHONPATH

POLL_SECONDS = 0.1
BACK_OFF_SECONDS = 1.0
"""Pause before a restart after an unexpected exit; a kubelet waits longer."""


class Operators:
    """Runs operators `operator-0` and `operator-1` within the `with` block.

    Args:
        environment: their settings and credentials.
        folder: for their logs.
        fault_log: records unexpected exits.
    """

    NAMES = ("operator-0", "operator-1")

    def __init__(self, environment: Mapping[str, str], folder: Path, fault_log: FaultLog) -> None:
        self._environment = environment
        self._folder = folder
        self._fault_log = fault_log
        self._ports = dict(zip(self.NAMES, free_ports(len(self.NAMES)), strict=True))
        self._lock = Lock()
        self._killed: set[str] = set()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = Event()
        self._supervisor = Thread(target=self._supervise, name="operators", daemon=True)
        self.kills = 0

    def kill(self, name: str) -> None:
        """Send SIGKILL to an operator; it is restarted at once."""
        with self._lock:
            self._killed.add(name)
            self._processes[name].kill()
            self._processes[name].wait()
            self.kills += 1

    def signal(self, name: str, which: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP or SIGCONT; ignored if the process was killed meanwhile."""
        with self._lock, suppress(ProcessLookupError):
            self._processes[name].send_signal(which)

    def pid(self, name: str) -> int:
        """Process id of an operator, which changes with each restart."""
        with self._lock:
            return self._processes[name].pid

    def log(self, name: str) -> Path:
        """Log of all processes with that name, in order."""
        return self._folder / f"{name}.log"

    def _start(self, name: str) -> None:
        probes, metrics = (f"127.0.0.1:{port}" for port in (self._ports[name], free_ports(1)[0]))
        command = [sys.executable, "-m", "vott_operator", "run", "--probes", probes, "--metrics", metrics]
        variables = {"PYTHONPATH": PYTHONPATH, "POD_NAME": name, "PYTHONUNBUFFERED": "1"}
        self._processes[name] = start_child(command, self.log(name), {**self._environment, **variables})

    def _supervise(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            for name in self.NAMES:
                with self._lock:
                    code = self._processes[name].poll()
                    if code is None:
                        continue
                    was_unexpected = name not in self._killed
                    self._killed.discard(name)
                if was_unexpected:
                    self._fault_log.note(f"{name} exited unexpectedly with exit code {code}")
                    time.sleep(BACK_OFF_SECONDS)
                with self._lock:
                    self._start(name)

    def __enter__(self) -> Self:
        for name in self.NAMES:
            self._start(name)
        self._supervisor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._supervisor.join()
        for process in self._processes.values():
            process.kill()
            process.wait()
