"""The training of one message: recognize it, run the trainer until there is an outcome, and record it; then the message is settled.

The record comes first: if the daemon is killed in between, the message is delivered again and settled by its record. A training belongs to no
delivery: if the lock is lost, it goes on, and the next delivery waits for it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from vott_guard.backoff import Backoff
from vott_messaging.errors import MessageGivenBackError, MessageRejectedError
from vott_messaging.messages.message import TrainMessage, parse_message
from vott_messaging.messages.queue_defaults import MessageDefaults
from vott_messaging.queues.base import Delivery
from vott_messaging.settings.plugins import PluginSettings
from vott_traind.attempt import Attempt, Ended
from vott_traind.devices import Slot
from vott_traind.folders import StateUnavailableError, WorkFolder
from vott_traind.identity import identify
from vott_traind.metrics import Metrics
from vott_traind.outcomes import Outcomes
from vott_traind.output import Output
from vott_traind.progress_callbacks import ProgressCallbacks
from vott_traind.records import Outcome, Record, Records
from vott_traind.slots import Lease, Slots
from vott_traind.status import Failure, Model, Status, read_status
from vott_traind.trainer import Job, TrainerOptions

logger = logging.getLogger(__name__)

RETRY_BACKOFF = Backoff(first=10.0, longest=360.0)
"""Between attempts at a training: the same as of a Job in Kubernetes between its pods."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a training is given up."""

    backoff_limit: int
    """How often a failed training is retried."""
    backoff: Backoff = RETRY_BACKOFF


@dataclass(frozen=True, slots=True)
class Parts:
    """What the trainings of a daemon share."""

    records: Records
    outcomes: Outcomes
    progress: ProgressCallbacks | None
    """None if the trainers post their progress themselves."""
    metrics: Metrics
    output: Output
    limits: Limits
    options: TrainerOptions
    work: Mapping[Slot, WorkFolder]
    stopping: asyncio.Event
    clock: Callable[[], float] = time.time


class Trainings:
    """The trainings of one queue's messages."""

    def __init__(
        self, identity: str, plugins: PluginSettings, defaults: MessageDefaults, parts: Parts, slots: Slots
    ) -> None:
        """`identity` is the queue's."""
        self._identity = identity
        self._plugins = plugins
        self._defaults = defaults
        self._parts = parts
        self._slots = slots
        self._running: dict[str, asyncio.Task[Record]] = {}

    async def train(self, delivery: Delivery, lease: Lease) -> None:
        """Train one message, or wait for its training. It goes on if this call is cancelled.

        Args:
            delivery: the message.
            lease: on the slot to train in; ends here if the message needs none.

        Raises:
            MessageRejectedError: it can never be trained, or its training has failed; then the callback gets the outcome by itself.
            MessageGivenBackError: the daemon stops.
            StateUnavailableError: the state folder can't be read or written; try again.
        """
        try:
            await self._train(delivery, lease)
        except OSError as error:
            raise StateUnavailableError(f"{self._identity}: {error}") from error

    async def _train(self, delivery: Delivery, lease: Lease) -> None:
        message = parse_message(delivery.body, self._defaults)
        plugin = self._plugins.plugin_of(message)
        found = identify(self._parts.records, self._identity, delivery, message.digest, self._parts.clock())
        if found.is_duplicate:
            logger.info(
                "message %r has the content of %s, and starts no second training", delivery.id, found.record.name
            )
            return
        record = found.record
        if not record.outcome:
            record = await asyncio.shield(await self._training(record, message, plugin, lease))
        if not record.outcome:
            raise MessageGivenBackError(f"{record.name} was interrupted")
        if record.outcome == "failed":
            raise MessageRejectedError(record.reason, record.message)

    async def _training(
        self, record: Record, message: TrainMessage, plugin: str, lease: Lease
    ) -> "asyncio.Task[Record]":
        """Return the task that trains a message, started now or before."""
        if (running := self._running.get(record.name)) is not None:
            lease.release()
            return running
        own = lease.hand_over() if lease.slot else await self._slots.take()
        task = asyncio.create_task(self._until_outcome(record, message, plugin, own), name=record.name)
        self._running[record.name] = task
        task.add_done_callback(lambda _: self._running.pop(record.name))
        return task

    async def _until_outcome(self, record: Record, message: TrainMessage, plugin: str, lease: Lease) -> Record:
        """Train until there is an outcome, or until the daemon stops. Returns the record, which is written."""
        assert lease.slot is not None
        try:
            return await self._repeat(record, message, plugin, lease.slot)
        finally:
            lease.release()

    async def _repeat(self, record: Record, message: TrainMessage, plugin: str, slot: Slot) -> Record:
        records, limits, stopping = self._parts.records, self._parts.limits, self._parts.stopping
        records.put(record)
        interruptions = 0
        while True:
            status = read_status(records.folder(record.name).status)
            if status and status.model:  # also of a trainer whose daemon was killed before it saw the end
                return self._end(record, message, plugin, "succeeded", Failure("", _describe(status, status.model)))
            if stopping.is_set():
                return record
            ended = await self._attempt(record, Job(record.name, plugin, message), slot)
            if ended.kind == "succeeded":
                continue
            record = replace(record, failures=record.failures + (ended.kind != "interrupted"))
            if ended.kind == "permanent" or record.failures > limits.backoff_limit:
                return self._end(record, message, plugin, "failed", _tried(ended, record.failures))
            records.put(record)
            interruptions += ended.kind == "interrupted"
            await self._wait(record, ended, limits.backoff.seconds(record.failures + interruptions))

    async def _attempt(self, record: Record, job: Job, slot: Slot) -> Ended:
        parts = self._parts
        progress = parts.progress.start(job.name, job.message.status) if parts.progress else None

        def on_status(status: Status) -> None:
            parts.output.progress(job, slot, status)
            parts.metrics.progress.labels(job.name).set((status.report.percent or 0) / 100)
            if progress:
                progress.report(status.report)

        logger.info("%s: training %s on %s, attempt %d", job.name, job.plugin, slot, record.failures + 1)
        parts.metrics.running.inc()
        try:
            ended = await Attempt(
                job,
                slot,
                parts.records.folder(job.name),
                parts.work[slot],
                parts.options,
                parts.stopping,
                on_status,
                lambda line: parts.output.line(job.name, line),
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

    async def _wait(self, record: Record, ended: Ended, seconds: float) -> None:
        """Wait before the next attempt, or until the daemon stops."""
        if self._parts.stopping.is_set():
            return
        logger.warning("%s: %s Another attempt follows in %.0f s.", record.name, ended.failure.message, seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._parts.stopping.wait()

    def _end(self, record: Record, message: TrainMessage, plugin: str, outcome: Outcome, why: Failure) -> Record:
        """Record the outcome, and post it."""
        parts = self._parts
        status = read_status(parts.records.folder(record.name).status)
        ended = replace(
            record,
            outcome=outcome,
            reason=why.reason,
            message=why.message,
            ended=parts.clock(),
            callback=message.status,
            report=status.report if status else None,
        )
        parts.records.put(ended)
        log = logger.info if outcome == "succeeded" else logger.error
        log("%s: %s. %s", record.name, outcome, why.message)
        parts.metrics.trainings.labels(plugin, outcome).inc()
        parts.metrics.duration.labels(plugin, outcome).observe(ended.ended - record.started)
        parts.outcomes.post(ended)
        return ended


def _describe(status: Status, model: Model) -> str:
    """Describe a success: the model's URL and size, and its metrics."""
    values = ", ".join(f"{name} {value:.4g}" for name, value in status.metrics.items())
    return f"The model is at {model.url} ({model.size_bytes:,} bytes){f'; {values}' if values else ''}."


def _tried(ended: Ended, failures: int) -> Failure:
    """Explain a failure, with the number of attempts if there were several."""
    if ended.kind == "permanent" or failures < 2:
        return ended.failure
    text = f"{ended.failure.message} Tried {failures} times (trainingJob.backoffLimit)."
    return replace(ended.failure, message=text)
