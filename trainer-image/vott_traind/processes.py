"""The trainer's process: start it, stop it, and end one that an earlier daemon has left behind."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vott_traind import child

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
POLL_SECONDS = 0.2


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
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold blanks
        return None if state in "ZX" else cls(pid, int(fields[18]), BOOT_ID.read_text().strip())

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
        """Write it to a file."""
        file.write_text(json.dumps(asdict(self)))


class TrainerProcess:
    """A running trainer, with its own process group for the processes that it starts."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
    ) -> "TrainerProcess":
        """Start a trainer in `folder`.

        It prints into the file `log`, not a pipe: if the daemon is killed, it must still be able to say that it saves a checkpoint.
        """
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *child.command_line(command),
                env=environment,
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return cls(process)

    @property
    def id(self) -> ProcessId | None:
        """The process; None if it has ended already."""
        return ProcessId.of(self._process.pid)

    async def wait(self) -> int:
        """Wait for the end; return the exit code, which is 128 + n after signal n. What it has left behind is killed."""
        code = await self._process.wait()
        _kill_group(self._process.pid)
        return code if code >= 0 else 128 - code

    async def stop(self, grace_seconds: float) -> int:
        """Let it save a checkpoint, kill it after the grace period, and return the exit code as `wait` does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                return await self.wait()
        _kill_group(self._process.pid)
        return await self.wait()


async def end_leftover(file: Path, grace_seconds: float) -> None:
    """End the process that `file` names, and its group. It got SIGTERM when its daemon was killed, and may still save."""
    process = ProcessId.read(file)
    if process is not None and process.is_running:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                while process.is_running:  # noqa: ASYNC110 - it is no child, whose end an Event could tell
                    await asyncio.sleep(POLL_SECONDS)
        _kill_group(process.pid)
    file.unlink(missing_ok=True)  # noqa: ASYNC240 - a small local file


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
