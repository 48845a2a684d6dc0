"""A set of programs for tests: started in order, killed and restarted by name, gone with the process."""

import signal
import subprocess
import time
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.guarded import start_guarded, stop_guarded
from localcluster.processes import Program

_POLL_SECONDS = 0.03
_LOG_TAIL_BYTES = 2000


class GuardedPrograms:
    """Runs programs as children of this process."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._programs: dict[str, Program] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def names(self) -> list[str]:
        """The programs' names in the order of their start."""
        return list(self._programs)

    def log(self, name: str) -> Path:
        """The file of a program's output."""
        return self._logs / f"{name}.log"

    def start(self, *programs: Program, timeout: float = 60) -> None:
        """Start programs side by side, and wait until all are ready.

        Raises:
            LocalClusterError: one ended, or was not ready in time.
        """
        for program in programs:
            self._programs[program.name] = program
            self._processes[program.name] = start_guarded(program.command, self.log(program.name), program.environment)
        deadline = time.monotonic() + timeout
        for program in programs:
            self._wait(program, deadline)

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a program abruptly (or send it another signal), and wait for its end where the signal means one."""
        process = self._process(name)
        process.send_signal(how)
        if how == signal.SIGKILL:
            process.wait()

    def restart(self, name: str, timeout: float = 60) -> None:
        """Start a program again with the same data, after stopping it where it still runs."""
        stop_guarded(self._process(name))
        self.start(self._programs[name], timeout=timeout)

    def stop(self) -> None:
        """Kill all, the last one first: nothing of theirs is kept."""
        for name in reversed(self._processes):
            self.kill(name)
        self._processes.clear()

    def _process(self, name: str) -> subprocess.Popen[bytes]:
        if name not in self._processes:
            raise LocalClusterError(
                f"no program {name!r} runs here; those that do: {', '.join(self._processes) or 'none'}"
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

    def _error(self, program: Program, what: str) -> LocalClusterError:
        log = self.log(program.name)
        tail = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        return LocalClusterError(f"{program.name} {what}; the end of {log}:\n{tail}")
