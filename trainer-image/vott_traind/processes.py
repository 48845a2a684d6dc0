"""The trainers' processes: start them, stop them with all that they have started, and end those that an earlier daemon has left behind.

A trainer starts processes in sessions of their own: scripts, and one worker for each GPU. If it is killed, the kernel makes them children of
the daemon, which adopts orphans (prctl(2), PR_SET_CHILD_SUBREAPER). So every child of the daemon that is no trainer is to be killed. Each
trainer adopts the orphans among its own descendants while it lives (`child.py`), so these do not become the daemon's.
"""

import asyncio
import json
import logging
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vott_traind import child
from vott_traind.folders import write_durably
from vott_traind.prctl import adopts_orphans

logger = logging.getLogger(__name__)

PROC = Path("/proc")
BOOT_ID = PROC / "sys/kernel/random/boot_id"
POLL_SECONDS = 0.2
KILL_SECONDS = 10.0
"""How long a killed process may take to end; one that waits for a broken device never does."""

_trainers: set[int] = set()
"""The trainers that are children of this process. They are started without await: no other task sees a child that is not here yet."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, told apart from a later one with its number."""

    pid: int
    start_time: int
    """In clock ticks since the start of the machine."""
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """Describe a running process; None if it has ended."""
        match _stat(pid):
            case [state, *fields] if state not in "ZX":
                return cls(pid, int(fields[18]), BOOT_ID.read_text().strip())
        return None

    @property
    def is_running(self) -> bool:
        """Whether it still runs."""
        return ProcessId.of(self.pid) == self

    @classmethod
    def read(cls, file: Path) -> "ProcessId | None":
        """Read a process from a file of `write`; None if there is none."""
        try:
            fields: dict[str, Any] = json.loads(file.read_bytes())
            return cls(**fields)
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, file: Path) -> None:
        """Write it to a file that survives a crash of the machine."""
        write_durably(file, json.dumps(asdict(self)).encode())


class TrainerProcess:
    """A trainer that was started."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        _trainers.add(process.pid)

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> "TrainerProcess":
        """Start a trainer in `folder`, in a session of its own, so that Ctrl-C reaches only the daemon.

        It prints into the file `log`, not a pipe: if the daemon is killed, it must still be able to say that it saves a checkpoint.
        """
        with log.open("ab") as output:
            return cls(
                subprocess.Popen(
                    child.command_line(command),
                    env=environment,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )

    @property
    def id(self) -> ProcessId | None:
        """The process; None if it has ended already."""
        return ProcessId.of(self._process.pid)

    async def wait(self) -> int:
        """Wait for the end; return the exit code, which is 128 + n after signal n."""
        while (code := self._process.poll()) is None:  # noqa: ASYNC110 - asyncio's own subprocesses are started with await
            await asyncio.sleep(POLL_SECONDS)
        _trainers.discard(self._process.pid)
        return code if code >= 0 else 128 - code

    async def stop(self, grace_seconds: float) -> int:
        """Let it save a checkpoint, kill it after the grace period, and return the exit code as `wait` does."""
        self._process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                return await self.wait()
        self._process.kill()
        return await self.wait()

    async def clean_up(self) -> None:
        """Kill it if it still runs, and all processes that it has left behind."""
        self._process.kill()
        try:
            async with asyncio.timeout(KILL_SECONDS):
                await self.wait()
        except TimeoutError:
            _log_survivors([self._process.pid])
        await _kill_strays()


async def end_leftover(file: Path, grace_seconds: float) -> None:
    """End the process that `file` names, and what it has started. It got SIGTERM when its daemon was killed, and may still save."""
    process = ProcessId.read(file)
    if process is None:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(grace_seconds):
            while process.is_running:  # noqa: ASYNC110 - it is no child, whose end an Event could tell
                await asyncio.sleep(POLL_SECONDS)
    if process.is_running:
        for pid in [*_descendants(process.pid), process.pid]:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


async def _kill_strays() -> None:
    """Kill and reap what ended trainers have left behind. Does nothing in a process that does not adopt it: its children are all its own."""
    if not adopts_orphans():
        return
    strays: list[int] = []
    try:
        async with asyncio.timeout(KILL_SECONDS):
            while strays := [pid for pid in _children(os.getpid()) if _is_stray(pid)]:
                for pid in strays:
                    _kill_child(pid)
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        _log_survivors(strays)


def _is_stray(child: int) -> bool:
    """Whether a child was left by a trainer, and is none: what the daemon's own libraries start, such as `az`, is in its session."""
    return child not in _trainers and _stat(child)[3:4] != [str(os.getsid(0))]


def _kill_child(pid: int) -> None:
    """Kill a child, or reap it if it has ended."""
    with suppress(ProcessLookupError, PermissionError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, os.WNOHANG)


def _log_survivors(pids: Sequence[int]) -> None:
    logger.error("processes %s of a trainer can't be killed, and may still use its GPU; restart the machine", pids)


def _descendants(pid: int) -> Iterator[int]:
    for found in _children(pid):
        yield found
        yield from _descendants(found)


def _children(parent: int) -> list[int]:
    pids = [int(path.name) for path in PROC.iterdir() if path.name.isdecimal()]
    return [pid for pid in pids if _stat(pid)[1:2] == [str(parent)]]


def _stat(pid: int) -> list[str]:
    """State, parent and the other fields of /proc/PID/stat (proc_pid_stat(5)) from the third on; empty if there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # the last with /proc mounted with hidepid
        return []
    return text.rpartition(")")[2].split()  # the name before it may hold blanks
