"""Programs for tests, started, killed and restarted by name; they end with this process."""

import signal
import subprocess
import time
from pathlib import Path

from localcluster.child_process import start_child, stop_child
from localcluster.errors import LocalClusterError
from localcluster.program import Program

_POLL_SECONDS = 0.03
_LOG_TAIL_BYTES = 2000


class ChildPrograms:
    """Programs that run as children of this process."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._programs: dict[str, Program] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def names(self) -> list[str]:
        """The programs' names in start order."""
        return list(self._programs)

    def log(self, name: str) -> Path:
        """The log file of a program."""
        return self._logs / f"{name}.log"

    def start(self, *programs: Program, timeout: float = 60) -> None:
        """Start programs concurrently, and wait until all are ready.

        Raises:
            LocalClusterError: A program ended, or was not ready in time.
        """
        for program in programs:
            self._programs[program.name] = program
            self._processes[program.name] = start_child(program.command, self.log(program.name), program.environment)
        deadline = time.monotonic() + timeout
        for program in programs:
            self._wait(program, deadline)

    def kill(self, name: str, signal_: signal.Signals = signal.SIGKILL) -> None:
        """Kill a program and wait for its end, or send it another signal."""
        process = self._process(name)
        process.send_signal(signal_)
        if signal_ == signal.SIGKILL:
            process.wait()

    def restart(self, name: str, timeout: float = 60) -> None:
        """Stop a program if it runs, and start it again with the same data."""
        stop_child(self._process(name))
        self.start(self._programs[name], timeout=timeout)

    def stop(self) -> None:
        """Kill all programs in reverse start order."""
        for name in reversed(self._processes):
            self.kill(name)
        self._processes.clear()

    def _process(self, name: str) -> subprocess.Popen[bytes]:
        if name not in self._processes:
            raise LocalClusterError(
                f"no program {name!r} was started; there are: {', '.join(self._processes) or 'none'}"
            )
        return self._processes[name]

    def _wait(self, program: Program, deadline: float) -> None:
        process = self._processes[program.name]
        while not program.is_ready():
            if process.poll() is not None:
                raise self._error(program, f"ended with exit code {process.returncode}")
            if time.monotonic() > deadline:
                raise self._error(program, "was not ready in time")
            time.sleep(_POLL_SECONDS)

    def _error(self, program: Program, problem: str) -> LocalClusterError:
        log = self.log(program.name)
        tail = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        return LocalClusterError(f"{program.name} {problem}; the end of {log}:\n{tail}")
