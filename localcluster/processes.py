"""Find and stop running processes of a cluster.

There are no pid files that could become stale: /proc is read each time. A variable in a program's environment marks the
cluster, the program and the fingerprint of its command line and configuration. Processes of pods are found by cgroup.
"""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError

MARK = "VOTT_TRAIN_LOCALCLUSTER"
_POLL_SECONDS = 0.05
_KILL_SECONDS = 10


@dataclass(frozen=True)
class Process:
    """A running process of a cluster."""

    pid: int
    name: str
    fingerprint: str

    def kill(self, signal_: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal; ignored if the process has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal_)

    def is_running(self) -> bool:
        """False for an ended process, even if it is not reaped yet."""
        try:
            return _read_stat(self.pid) not in {"Z", "X"}
        except (FileNotFoundError, ProcessLookupError):
            return False

    def is_shim(self) -> bool:
        """Whether this is a containerd shim, which inherits containerd's mark and must survive its restart."""
        try:
            return b"containerd-shim" in Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except OSError:
            return False


def _read_stat(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def find(owner: Path) -> list[Process]:
    """All running processes of the cluster with the state folder ``owner``, including children that inherited the mark."""
    mark = f"{MARK}={owner}|".encode()
    processes = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:  # ended, or another user's
            continue
        if mark in environment:
            value = next(item for item in environment.split(b"\0") if item.startswith(mark))
            name, _, fingerprint = value.removeprefix(mark).decode().partition("|")
            process = Process(int(folder.name), name, fingerprint)
            if process.is_running():
                processes.append(process)
    return processes


def find_in_cgroup(name: str) -> list[Process]:
    """All processes below the top-level cgroup ``name``: those of pods."""
    processes = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f":/{name}/" in (folder / "cgroup").read_text():
                processes.append(Process(int(folder.name), "pod", ""))
        except OSError:
            continue
    return processes


def stop(processes: Iterable[Process], grace: float = 5) -> None:
    """Terminate the processes, and kill those that remain after ``grace`` seconds (0: at once).

    Raises:
        LocalClusterError: A killed process doesn't end.
    """
    remaining = [process for process in processes if process.is_running()]
    for process in remaining if grace else ():
        process.kill(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while remaining and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        remaining = [process for process in remaining if process.is_running()]
    for process in remaining:
        process.kill()
    deadline = time.monotonic() + _KILL_SECONDS
    while remaining:
        if time.monotonic() > deadline:
            stuck = ", ".join(f"{process.name} ({process.pid})" for process in remaining)
            raise LocalClusterError(
                f"These processes were killed but don't end: {stuck}. They are blocked in the kernel; see dmesg."
            )
        time.sleep(_POLL_SECONDS)
        remaining = [process for process in remaining if process.is_running()]
