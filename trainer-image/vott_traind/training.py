"""One training: run the trainer until there is an outcome, and record it; then its message is settled.

The record comes first: if the daemon is killed in between, the message is delivered again and settled by its record.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace

from vott_messaging.delivery.retries import BACKOFF
from vott_messaging.messages.message import TrainMessage
from vott_traind.attempt import Attempt, Ended
from vott_traind.devices import Slot
from vott_traind.parts import Parts
from vott_traind.records import Outcome, Record
from vott_traind.status import Failure, Status, read_status
from vott_traind.trainer import Job

logger = logging.getLogger(__name__)

MAX_CRASHES = 10
"""How often the daemon may be killed during one training. A training that exhausts the machine's memory would otherwise kill it for ever."""


class Training:
    """One training, in the slot that it has until it ends."""

    def __init__(self, record: Record, message: TrainMessage, plugin: str, slot: Slot, parts: Parts) -> None:
        """`record` may be new, or of an earlier daemon."""
        self._record = record
        self._job = Job(record.name, plugin, message)
        self._slot = slot
        self._parts = parts
        self._folder = parts.records.folder(record.name)
        self._last: Ended | None = None
        self._interruptions = 0

    async def run(self) -> Record:
        """Train until there is an outcome, which is recorded, or until the daemon stops: then the record has none.

        While its folders can't be written, it waits in its slot, and forgets no attempt.
        """
        errors = 0
        while True:
            try:
                await self._run()
                return self._record
            except OSError as error:
                if self._parts.stopping.is_set():
                    return self._record
                errors += 1
                delay = BACKOFF.seconds(errors)
                logger.warning("%s: %s; trying again in %.1f s", self._job.name, error, delay)
                await self._wait(delay)

    async def _run(self) -> None:
        """Make attempt after attempt."""
        records = self._parts.records
        if records.get(self._job.name) is None:
            self._folder.status.unlink(missing_ok=True)  # of a training whose record was damaged
        while True:
            if delivered := self._model():  # however the trainer ended, and also if an earlier daemon did not see it
                return self._end("succeeded", Failure("", delivered))
            if failure := self._final_failure():
                return self._end("failed", failure)
            records.put(self._record)
            await self._wait_for_next_attempt()
            if self._parts.stopping.is_set():
                return None
            self._count(await self._attempt())

    def _model(self) -> str:
        """Describe the verified model: its URL, size and metrics; empty if there is none yet."""
        status = read_status(self._folder.status)
        if status is None or status.model is None:
            return ""
        values = ", ".join(f"{name} {value:.4g}" for name, value in status.metrics.items())
        size = f"{status.model.size_bytes:,} bytes"
        return f"The model is at {status.model.url} ({size}){f'; {values}' if values else ''}."

    def _final_failure(self) -> Failure | None:
        """Why there is no other attempt; None if there is one."""
        failures, last = self._record.failures, self._last
        if last is not None and last.kind == "permanent":
            return last.failure
        if last is not None and failures > self._parts.limits.backoff_limit:
            tried = f" Tried {failures} times (trainingJob.backoffLimit)." if failures > 1 else ""
            return replace(last.failure, message=last.failure.message + tried)
        if self._record.crashes >= MAX_CRASHES:
            text = (
                f"The daemon was killed {self._record.crashes} times during this training, usually for lack of memory."
            )
            return Failure("DaemonKilled", f"{text} Lower batchSize, or give it more.")
        return None

    def _count(self, ended: Ended) -> None:
        self._last = ended
        self._interruptions += ended.kind == "interrupted"
        failed = ended.kind in ("temporary", "permanent")
        self._record = replace(self._record, failures=self._record.failures + failed)

    async def _attempt(self) -> Ended:
        parts, job = self._parts, self._job
        progress = parts.progress.start(job.name, job.message.status) if parts.progress else None

        def on_status(status: Status) -> None:
            parts.output.progress(job, self._slot, status)
            parts.metrics.progress.labels(job.name).set((status.report.percent or 0) / 100)
            if progress:
                progress.report(status.report)

        logger.info("%s: training %s on %s, attempt %d", job.name, job.plugin, self._slot, self._record.failures + 1)
        parts.metrics.running.inc()
        try:
            ended = await Attempt(
                job,
                self._slot,
                self._folder,
                parts.work[self._slot],
                parts.options,
                parts.stopping,
                on_status,
                lambda line: parts.output.line(job.name, line),
                parts.limits.silence_seconds,
            ).run()
        finally:
            parts.metrics.running.dec()
            parts.output.end(job.name)
            with suppress(KeyError):
                parts.metrics.progress.remove(job.name)
            if progress:
                await progress.close()
        parts.metrics.attempts.labels(ended.kind).inc()
        return ended

    async def _wait_for_next_attempt(self) -> None:
        if self._last is None or self._parts.stopping.is_set():
            return
        seconds = self._parts.limits.backoff.seconds(self._record.failures + self._interruptions)
        text = "%s: %s Another attempt follows in %.0f s."
        logger.warning(text, self._job.name, self._last.failure.message, seconds)
        await self._wait(seconds)

    async def _wait(self, seconds: float) -> None:
        """Wait, at most until the daemon stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._parts.stopping.wait()

    def _end(self, outcome: Outcome, why: Failure) -> None:
        """Record the outcome, and post it."""
        parts, job = self._parts, self._job
        status = read_status(self._folder.status)
        ended = replace(
            self._record,
            outcome=outcome,
            reason=why.reason,
            message=why.message,
            ended=parts.clock(),
            callback=job.message.status,
            report=status.report if status else None,
        )
        parts.records.put(ended)
        self._record = ended
        log = logger.info if outcome == "succeeded" else logger.error
        log("%s: %s. %s", job.name, outcome, why.message)
        parts.metrics.trainings.labels(job.plugin, outcome).inc()
        parts.metrics.duration.labels(job.plugin, outcome).observe(ended.ended - ended.started)
        parts.outcomes.post(ended)
