"""Start, restart and find the programs of a cluster, which outlive this process."""

import os
import time
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.processes import MARK, Process, find, stop
from localcluster.program import Program
from localcluster.proxies import without_proxies

_POLL_SECONDS = 0.05
_LOG_TAIL_BYTES = 2000


class Supervisor:
    """Starts and restarts the programs of one cluster. Each runs in its own session and outlives this process."""

    def __init__(self, owner: Path, logs: Path) -> None:
        self._owner = owner
        self._logs = logs

    def running(self) -> dict[str, list[Process]]:
        """The running processes by program name."""
        by_name: dict[str, list[Process]] = {}
        for process in find(self._owner):
            by_name.setdefault(process.name, []).append(process)
        return by_name

    def ensure(self, program: Program, timeout: float = 60) -> bool:
        """Start or restart the program unless it runs with this configuration and works. True if it was started.

        Raises:
            LocalClusterError: It ended, or was not ready within ``timeout`` seconds.
        """
        processes = [process for process in self.running().get(program.name, []) if not process.is_shim()]
        if any(process.fingerprint == program.fingerprint for process in processes) and self._works(program):
            return False
        stop(processes)
        pid = self._start(program)
        self._wait_until_ready(program, pid, timeout)
        return True

    def _works(self, program: Program) -> bool:
        """Whether a running program is ready; retried for a while, so that a short hang doesn't restart it."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if program.is_ready():
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _start(self, program: Program) -> int:
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{program.name}.log"
        if log.exists():
            log.replace(log.with_suffix(".previous.log"))
        mark = f"{self._owner}|{program.name}|{program.fingerprint}"
        output = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        return os.posix_spawnp(  # not Popen, which expects its parent to wait for it
            "env",
            ["env", "--chdir=/", *program.command],
            {**without_proxies(os.environ), **program.environment, MARK: mark},
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), output, (os.POSIX_SPAWN_DUP2, 1, 2)],
            setsid=True,
        )

    def _wait_until_ready(self, program: Program, pid: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        process = Process(pid, program.name, program.fingerprint)
        while not program.is_ready():
            if not process.is_running():
                raise LocalClusterError(self._error_text(program, "ended right after its start"))
            if time.monotonic() > deadline:
                raise LocalClusterError(self._error_text(program, f"was not ready after {timeout:.0f} s"))
            time.sleep(_POLL_SECONDS)

    def _error_text(self, program: Program, problem: str) -> str:
        log = self._logs / f"{program.name}.log"
        tail = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        return f"{program.name} {problem}. The end of {log}:\n{tail}"
