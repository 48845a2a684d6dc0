"""Messages of one queue, from receipt to settlement: create the TrainingJob, then complete the message.

A kill in between redelivers the message, and creating the TrainingJob of the same name again changes nothing.

While the API server or a callback is unavailable, the operator keeps the message and renews its lock. Abandoning it would
count as a failed delivery, and queues dead-letter a message after several of those.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable
from contextlib import suppress

from vott_messaging import reasons
from vott_messaging.delivery import backoff
from vott_messaging.delivery.message_lock import renew_lock
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.errors import LostMessageError, MessageRejectedError, SourceUnavailableError, VottError
from vott_messaging.queues.base import Delivery, QueueSource
from vott_operator.api.names import Key
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
INTERNAL_ERROR_SECONDS = 600.0
"""How long to retry a message that makes the operator fail before it is dead-lettered: time to fix a cause that affects all messages."""
ABANDON_SECONDS = 3.0


class Intake:
    """Receives messages from one queue while there is capacity for TrainingJobs."""

    def __init__(
        self,
        source: QueueSource,
        converter: Converter,
        rejection: Rejection,
        capacity: Capacity,
        on_completed: Callable[[Key], None],
    ) -> None:
        """`on_completed` is called with the TrainingJob of each message that was removed from the queue."""
        self._source = source
        self._converter = converter
        self._rejection = rejection
        self._capacity = capacity
        self._on_completed = on_completed
        self._in_flight: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Receive until cancelled. Errors of the queue are retried with a backoff."""
        failures = 0
        while True:
            try:
                await self.receive_batch(RECEIVE_SECONDS)
                failures = 0
            except Exception as error:  # an error of one queue must not stop the others
                failures += 1
                delay = backoff.RECEIVE_BACKOFF.seconds(failures)
                expected = isinstance(error, VottError)
                text = str(error) if expected else f"{self._source.identity}: internal error"
                logger.warning("%s; trying again in %.1f s", text, delay, exc_info=None if expected else error)
                await asyncio.sleep(delay)

    async def receive_batch(self, wait_seconds: float = 0.0) -> None:
        """Receive as many messages as capacity allows and start on each; wait for the first one, or for capacity."""
        most = min(MAX_IN_FLIGHT, self._capacity.share) - len(self._in_flight)
        limit = min(BATCH, most, self._capacity.available)
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
        task = asyncio.create_task(self._process(delivery), name=f"message {delivery.id}")
        self._in_flight.add(task)
        self._capacity.reserve()
        task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._capacity.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s: %s", task.get_name(), error, exc_info=error)

    async def _process(self, delivery: Delivery) -> None:
        """Convert and settle one message while another task renews its lock. The first to end cancels the other."""
        work = asyncio.create_task(self._settle(delivery))
        lock = asyncio.create_task(renew_lock(self._source, delivery))
        try:
            await asyncio.wait({work, lock}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._abandon(delivery, work, lock)
            raise
        for task in (work, lock):
            task.cancel()
        for result in await asyncio.gather(work, lock, return_exceptions=True):
            if isinstance(result, LostMessageError):
                logger.warning("message %r: %s; the queue will deliver it again", delivery.id, result)
            elif isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    async def _abandon(self, delivery: Delivery, *tasks: asyncio.Task[None]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(VottError, TimeoutError):
            async with asyncio.timeout(ABANDON_SECONDS):
                await self._source.abandon(delivery)

    async def _settle(self, delivery: Delivery) -> None:
        """Complete or reject, and retry until one of them succeeds."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        for attempt in itertools.count(1):
            try:
                return await self._create_and_complete(delivery)
            except MessageRejectedError as error:
                return await self._rejection.reject(delivery, error)
            except (ClusterError, SourceUnavailableError) as error:
                cause = str(error)
            except Exception as error:  # a bug must neither lose the message nor stop the others
                logger.exception("message %r", delivery.id)
                cause = "internal error"
                if loop.time() - started >= INTERNAL_ERROR_SECONDS:
                    text = f"The operator failed {attempt} times at this message ({type(error).__name__}); see its log."
                    return await self._rejection.reject(delivery, MessageRejectedError(reasons.INTERNAL_ERROR, text))
            delay = backoff.MESSAGE_BACKOFF.seconds(attempt)
            logger.warning("message %r: %s; trying again in %.1f s", delivery.id, cause, delay)
            await asyncio.sleep(delay)
        return None

    async def _create_and_complete(self, delivery: Delivery) -> None:
        trainingjob = await self._converter.convert(delivery)
        # Not for a duplicate, whose TrainingJob belongs to another message, nor for a lost message, which may be redelivered.
        if await self._source.complete(delivery) and trainingjob.is_from(delivery.id, delivery.sequence):
            self._on_completed(trainingjob.key)
