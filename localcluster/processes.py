"""Programs that outlive this one, found again by a mark in their environment.

There are no pid files to go stale: what runs is read from /proc each time, and a mark names the cluster, the program and a
fingerprint of its command line and configuration. Pods' processes carry no mark; their control group names them.
"""

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.proxies import without_proxies

_MARK = "VOTT_TRAIN_LOCALCLUSTER"
_POLL_SECONDS = 0.05
_LOG_TAIL_BYTES = 2000
_KILL_SECONDS = 10


@dataclass(frozen=True)
class Program:
    """How to run one part of the cluster, and how to see that it works."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    address: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    config_files: tuple[Path, ...] = ()  # a change in one of them is a reason to restart

    @property
    def fingerprint(self) -> str:
        """Changes when the program has to be restarted."""
        digest = hashlib.sha256(repr((self.command, sorted(self.environment.items()))).encode())
        for path in self.config_files:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Process:
    """A running program of a cluster."""

    pid: int
    name: str
    fingerprint: str

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal; a process that has just ended is fine."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, how)

    def is_running(self) -> bool:
        """False once it has ended, even where nobody has read its exit code yet."""
        try:
            return _read_stat(self.pid) not in {"Z", "X"}
        except (FileNotFoundError, ProcessLookupError):
            return False

    def is_shim(self) -> bool:
        """Whether this is containerd's keeper of one pod, which inherits containerd's mark and has to survive its restart."""
        try:
            return b"containerd-shim" in Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except OSError:
            return False


def _read_stat(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def find(owner: Path) -> list[Process]:
    """All running programs of the cluster whose state folder is ``owner``, children that inherited a mark among them."""
    mark = f"{_MARK}={owner}|".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:  # it has ended, or is another user's
            continue
        if mark in environment:
            value = next(item for item in environment.split(b"\0") if item.startswith(mark))
            name, _, fingerprint = value.removeprefix(mark).decode().partition("|")
            process = Process(int(folder.name), name, fingerprint)
            if process.is_running():
                found.append(process)
    return found


def find_in_cgroup(name: str) -> list[Process]:
    """All processes below the top-level control group ``name``: those of pods."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f":/{name}/" in (folder / "cgroup").read_text():
                found.append(Process(int(folder.name), "pod", ""))
        except OSError:
            continue
    return found


class Supervisor:
    """Starts, repairs and stops the programs of one cluster; they run in sessions of their own and outlive this process."""

    def __init__(self, owner: Path, logs: Path) -> None:
        self._owner = owner
        self._logs = logs

    def running(self) -> dict[str, list[Process]]:
        """The running programs by name."""
        by_name: dict[str, list[Process]] = {}
        for process in find(self._owner):
            by_name.setdefault(process.name, []).append(process)
        return by_name

    def ensure(self, program: Program, timeout: float = 60) -> bool:
        """Make sure that the program runs as described and works; true when it had to be started.

        Raises:
            LocalClusterError: it ended, or did not work within ``timeout`` seconds.
        """
        processes = [process for process in self.running().get(program.name, []) if not process.is_shim()]
        if any(process.fingerprint == program.fingerprint for process in processes) and self._works(program):
            return False
        stop(processes)
        pid = self._start(program)
        self._wait_until_ready(program, pid, timeout)
        return True

    def _works(self, program: Program) -> bool:
        """Whether a program that runs is ready; asked for a while, so that a hiccup is no reason to restart it."""
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
        return os.posix_spawnp(  # not Popen: nobody here will wait for its end
            "env",
            ["env", "--chdir=/", *program.command],
            {**without_proxies(os.environ), **program.environment, _MARK: mark},
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), output, (os.POSIX_SPAWN_DUP2, 1, 2)],
            setsid=True,
        )

    def _wait_until_ready(self, program: Program, pid: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        process = Process(pid, program.name, program.fingerprint)
        while not program.is_ready():
            if not process.is_running():
                raise LocalClusterError(self._complaint(program, "ended right after its start"))
            if time.monotonic() > deadline:
                raise LocalClusterError(self._complaint(program, f"was not ready after {timeout:.0f} s"))
            time.sleep(_POLL_SECONDS)

    def _complaint(self, program: Program, what: str) -> str:
        log = self._logs / f"{program.name}.log"
        tail = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        return f"{program.name} {what}. The end of {log}:\n{tail}"


def stop(processes: Iterable[Process], grace: float = 5) -> None:
    """Ask the processes to end, and kill those that have not after ``grace`` seconds (at once, with 0).

    Raises:
        LocalClusterError: the kernel does not end one of them.
    """
    left = [process for process in processes if process.is_running()]
    for process in left if grace else ():
        process.kill(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        left = [process for process in left if process.is_running()]
    for process in left:
        process.kill()
    deadline = time.monotonic() + _KILL_SECONDS
    while left:
        if time.monotonic() > deadline:
            stuck = ", ".join(f"{process.name} ({process.pid})" for process in left)
            raise LocalClusterError(
                f"These processes do not end although killed: {stuck}. They wait for the kernel: see dmesg."
            )
        time.sleep(_POLL_SECONDS)
        left = [process for process in left if process.is_running()]
