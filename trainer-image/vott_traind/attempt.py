"""One attempt at a training: run the trainer, follow its reports and its log, and say how it ended."""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from vott_guard import exit_codes
from vott_traind import trainer
from vott_traind.devices import Slot
from vott_traind.folders import PRIVATE, TrainingFolder, WorkFolder
from vott_traind.log_follower import LogFollower
from vott_traind.processes import TrainerProcess
from vott_traind.status import Failure, Status, read_status, read_termination
from vott_traind.trainer import Job, TrainerOptions

logger = logging.getLogger(__name__)

SIGKILL = 137
"""Exit code after SIGKILL."""
POLL_SECONDS = 0.5
"""How often status file and log are read."""

Kind = Literal["succeeded", "interrupted", "temporary", "permanent"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended: `failure` explains all kinds but success."""

    kind: Kind
    failure: Failure


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything that an attempt needs."""

    job: Job
    slot: Slot
    folder: TrainingFolder
    work: WorkFolder
    options: TrainerOptions
    stopping: asyncio.Event
    """Set when the daemon ends: the trainer saves a checkpoint."""
    on_status: Callable[[Status], None]
    """Called with each new report."""
    on_line: Callable[[str], None]
    """Called with each line that the trainer prints."""
    silence_seconds: float = 0
    """How long the trainer may take between two reports, once it has reported an epoch; 0: any time."""
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it took longer, and was stopped."""

    async def run(self) -> Ended:
        """Run the trainer to its end; it has ended also after an error. Raises OSError if its folders can't be written."""
        try:
            await asyncio.to_thread(self._prepare)
            code = await self._train()
        finally:
            await asyncio.to_thread(self._clear)
        return self._ended(code)

    async def _train(self) -> int:
        log = LogFollower(self.folder.log, self.on_line)
        process = TrainerProcess.start(
            trainer.command(self.job, self.folder, signed_callbacks=self.options.signed_callbacks),
            trainer.environment(self.options, self.slot, self.folder, self.work),
            self.work.work,
            self.folder.log,
        )
        following = asyncio.create_task(self._follow(log))
        try:
            if (started := process.id) is not None:
                started.write(self.folder.process)
            return await self._wait(process)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await self._clean_up(process, log)

    async def _clean_up(self, process: TrainerProcess, log: LogFollower) -> None:
        """Leave no process, and show the rest of the log. No error hides how the trainer has ended."""
        try:
            await process.clean_up()
            self.folder.process.unlink(missing_ok=True)
            log.read(to_end=True)
        except Exception as error:
            expected = isinstance(error, OSError)
            logger.warning("%s: after the trainer: %s", self.job.name, error, exc_info=None if expected else error)

    def _prepare(self) -> None:
        """Empty the work folder, and forget what an earlier attempt reported."""
        self._clear()
        for folder in (self.work.work, self.work.temporary):
            folder.mkdir(mode=PRIVATE, parents=True)
        self.folder.path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        self.folder.status.unlink(missing_ok=True)
        self.folder.termination.write_bytes(b"")  # the trainer writes it only if it exists

    def _clear(self) -> None:
        for folder in (self.work.work, self.work.temporary, self.folder.urls):
            shutil.rmtree(folder, ignore_errors=True)

    async def _wait(self, process: TrainerProcess) -> int:
        ended = asyncio.create_task(process.wait())
        others = {asyncio.create_task(self.stopping.wait())}
        if self.silence_seconds:
            others.add(asyncio.create_task(self._hang()))
        try:
            await asyncio.wait({ended, *others}, return_when=asyncio.FIRST_COMPLETED)
            return await (ended if ended.done() else process.stop(self.options.grace_seconds))
        finally:
            for task in (ended, *others):
                task.cancel()

    async def _hang(self) -> Literal[True]:
        """Return, and set `hung`, once a trainer that has reported an epoch has been silent for too long.

        A script never reports one: its silence tells nothing.
        """
        last, since = 0, time.monotonic()
        while time.monotonic() - since < self.silence_seconds or not self._has_trained():
            await asyncio.sleep(POLL_SECONDS)
            with suppress(OSError):  # no report yet
                written = self.folder.status.stat().st_mtime_ns
                last, since = written, since if written == last else time.monotonic()
        self.hung.set()
        return True

    def _has_trained(self) -> bool:
        with suppress(OSError):
            status = read_status(self.folder.status)
            return status is not None and bool(status.report.epoch_current)
        return False

    async def _follow(self, log: LogFollower) -> None:
        last: Status | None = None
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                log.read()
                if log.is_full:
                    await asyncio.to_thread(log.rotate)
                status = read_status(self.folder.status)
                if status is not None and status != last:
                    last = status
                    self.on_status(status)
            except OSError:  # it may be complete again the next time
                pass
            except Exception:  # of a bug: a line or a report is lost, but not those after it
                logger.exception("%s: a report of the trainer can't be shown", self.job.name)

    def _ended(self, code: int) -> Ended:
        failure = read_termination(self.folder.termination) or _explain(code, self.folder)
        if code == 0:
            status = read_status(self.folder.status)
            return Ended("succeeded" if status and status.model else "temporary", failure)
        if self.hung.is_set():
            return Ended("temporary", _explain_hang(self.silence_seconds, self.folder))
        if code in exit_codes.PERMANENT:
            return Ended("permanent", failure)
        return Ended("interrupted" if code == exit_codes.SIGTERM or self.stopping.is_set() else "temporary", failure)


def _explain_hang(seconds: float, folder: TrainingFolder) -> Failure:
    return Failure(
        "NoProgress",
        f"The trainer did not report for {seconds:.0f} s (trainer.restartStalledAfterSeconds); see {folder.log}.",
    )


def _explain(code: int, folder: TrainingFolder) -> Failure:
    """Explain an end that the trainer itself has not explained."""
    if code == 0:
        return Failure(
            "ModelNotReported", f"The trainer ended with 0 but reported no verified model; see {folder.log}."
        )
    if code == exit_codes.SIGTERM:
        return Failure("Interrupted", "The trainer was stopped by SIGTERM.")
    if code == SIGKILL:
        return Failure(
            "TrainerKilled",
            "The trainer was killed by SIGKILL, usually for lack of memory. Lower batchSize, or give it more.",
        )
    return Failure("TrainerFailed", f"The trainer ended with exit code {code}; see {folder.log}.")
