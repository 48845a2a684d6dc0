"""Messages of one queue, from receipt to settlement: create the TrainingJob, then complete the message.

A kill in between redelivers the message, and creating the TrainingJob of the same name again changes nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from vott_guard.log_format import log_fields
from vott_messaging.delivery.receiving import receive_until_cancelled
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.delivery.settlement import Settlement
from vott_messaging.errors import MessageRejectedError
from vott_messaging.queues.base import Delivery, QueueSource
from vott_operator import metrics
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.namespaces import Namespaces
from vott_operator.errors import ClusterError
from vott_operator.intake.capacity import Capacity
from vott_operator.intake.conversion import Converter

logger = logging.getLogger(__name__)

BATCH = 32
MAX_IN_FLIGHT = 64
"""Messages of one queue that are worked on at a time: more than one batch, so that a few that wait do not block the others."""
RECEIVE_SECONDS = 2.0
FULL_SECONDS = 2.0
"""Pause while there is no capacity."""


class Intake:
    """Receives messages from one queue while there is capacity for TrainingJobs and their namespace accepts them."""

    def __init__(
        self,
        source: QueueSource,
        converter: Converter,
        rejection: Rejection,
        capacity: Capacity,
        namespaces: Namespaces,
        namespace: str,
        on_completed: Callable[[Key], None],
        report: Callable[[str], None],
        label: str,
    ) -> None:
        """`on_completed` is called with the TrainingJob of each message that was removed from the queue; `report`: see `receiving`.

        `label` is the queue's in the metrics.
        """
        self._source = source
        self._converter = converter
        self._settlement = Settlement(source, rejection, "operator")
        self.capacity = capacity
        self._namespaces = namespaces
        self._namespace = namespace
        self._on_completed = on_completed
        self._report = report
        self._label = label
        self._in_flight: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Receive until cancelled."""
        await receive_until_cancelled(self._source.identity, lambda: self.receive_batch(RECEIVE_SECONDS), self._report)

    async def receive_batch(self, wait_seconds: float = 0.0) -> None:
        """Receive as many messages as capacity allows and start on each; wait for the first one, or for capacity."""
        if not self._namespaces.state(self._namespace).accepts_trainings:
            await self._source.pause()
            await self._namespaces.wait_until_it_accepts_trainings(self._namespace)
        limit = min(BATCH, MAX_IN_FLIGHT - len(self._in_flight), self.capacity.available)
        metrics.INTAKE_PAUSED.labels(self._label).set(self.capacity.available <= 0)
        if limit <= 0:
            await self._wait_for_capacity()
            return
        for delivery in await self._source.receive(limit, wait_seconds):
            self._start(delivery)

    async def _wait_for_capacity(self) -> None:
        await self._source.pause()
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=FULL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(FULL_SECONDS)

    async def wait_until_idle(self) -> None:
        """Wait until no message is in flight."""
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    async def stop(self, grace_seconds: float) -> None:
        """Finish the messages in flight within the grace period and abandon the rest. Cancel `run` first."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=grace_seconds)
        for task in self._in_flight:
            task.cancel()
        await self.wait_until_idle()

    def _start(self, delivery: Delivery) -> None:
        with log_fields(queue=self._source.identity, messageId=delivery.id):
            task = asyncio.create_task(self._process(delivery), name=f"message {delivery.id}")
            task.add_done_callback(self._finish)
        self._in_flight.add(task)
        metrics.MESSAGES_IN_FLIGHT.labels(self._label).set(len(self._in_flight))
        self.capacity.reserve()

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        metrics.MESSAGES_IN_FLIGHT.labels(self._label).set(len(self._in_flight))
        self.capacity.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            metrics.MESSAGES_SETTLED.labels(self._label, "failed").inc()
            logger.error("internal error: %s", error, exc_info=error)

    async def _process(self, delivery: Delivery) -> None:
        trainingjob = await self._settlement.settle(delivery, self._convert)
        if trainingjob is None:  # rejected, or it may be redelivered; the source counts them
            return
        is_own = trainingjob.is_from(delivery.id, delivery.sequence)
        metrics.MESSAGES_SETTLED.labels(self._label, "created" if is_own else "duplicate").inc()
        if is_own:  # a duplicate's TrainingJob belongs to another message
            self._on_completed(trainingjob.key)

    async def _convert(self, delivery: Delivery) -> TrainingJob:
        await self._namespaces.wait_until_it_accepts_trainings(self._namespace)
        try:
            trainingjob = await self._converter.convert(delivery)
        except MessageRejectedError:
            raise
        except Exception as error:
            metrics.MESSAGE_ERRORS.labels(self._label).inc()
            if isinstance(error, ClusterError) and error.is_refusal:
                self._namespaces.check_soon(self._namespace)
            raise
        if delivery.enqueued is not None:
            latency = (datetime.now(UTC) - delivery.enqueued).total_seconds()
            metrics.INTAKE_LATENCY.labels(self._label).observe(max(0.0, latency))
        return trainingjob
