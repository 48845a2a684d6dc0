"""The operator as a local process."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import requests

from localcluster.ports import free_ports
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
PYTHONPATH = ":".join(str(ROOT / folder) for folder in ("operator", "messaging", "guard"))
"""The operator's packages."""


class OperatorProcess(subprocess.Popen[bytes]):
    """A started operator. Several may share a log."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        health, metrics = free_ports(2)
        self.log = log
        self.health = f"http://127.0.0.1:{health}/healthz"
        self.readiness = f"http://127.0.0.1:{health}/readyz"
        self.metrics = f"127.0.0.1:{metrics}"
        """Address that Prometheus scrapes."""
        addresses = ["--probes", f"127.0.0.1:{health}", "--metrics", self.metrics]
        command = [sys.executable, "-m", "vott_operator", "run", *addresses]
        variables = {"PYTHONPATH": PYTHONPATH} | environment
        with log.open("ab") as file:
            super().__init__(command, env=os.environ | variables, stdout=file, stderr=file)

    def wait_healthy(self, seconds: float = 60) -> None:
        """Wait until its health check passes; fail with its log if it exits first."""

        def healthy() -> bool:
            assert self.poll() is None, self.log.read_text()
            with suppress(requests.RequestException):
                return requests.get(self.health, timeout=5).ok
            return False

        wait_until("a healthy operator", healthy, seconds=seconds, dump=self.log.read_text)

    def wait_ready(self, *, ready: bool = True) -> str:
        """Wait until it is ready, or until it is not; return what it answers."""

        def probe() -> str | None:
            answer = requests.get(self.readiness, timeout=5)
            return answer.text if answer.ok is ready else None

        return wait_until(f"readiness: {ready}", probe, seconds=60, dump=self.log.read_text)

    def sigkill(self) -> None:
        """Kill it without a chance to clean up, as a node failure does."""
        self.kill()
        self.wait()

    def stop(self, seconds: float = 30) -> int:
        """Terminate it as the kubelet does, within the grace period; return its exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait(seconds)
