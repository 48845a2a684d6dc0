"""Receives the messages of one queue, one for each free slot, and gets each of them settled."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from vott_messaging import reasons
from vott_messaging.delivery import backoff
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.errors import MessageRejectedError, VottError
from vott_messaging.queues.base import Delivery, QueueSource
from vott_traind.devices import Slot
from vott_traind.held_message import HeldMessage
from vott_traind.metrics import Metrics
from vott_traind.slots import Slots
from vott_traind.training import Trainings

T = TypeVar("T")

logger = logging.getLogger(__name__)

RECEIVE_SECONDS = 2.0
"""How long a slot waits for a message of one queue before it waits for one of the next."""
PAUSE_SECONDS = 5.0
"""How long the service may still push a message to this receiver while all slots are taken."""
INTERNAL_ERROR_SECONDS = 600.0
"""How long to retry a message that makes the daemon fail before it is dead-lettered: time to fix a cause that affects all messages."""


class Receiver:
    """The messages of one queue."""

    def __init__(
        self,
        source: QueueSource,
        rejection: Rejection,
        trainings: Trainings,
        slots: Slots,
        metrics: Metrics,
        stopping: asyncio.Event,
    ) -> None:
        self._source = source
        self._rejection = rejection
        self._trainings = trainings
        self._slots = slots
        self._metrics = metrics
        self._stopping = stopping
        self._in_flight: set[asyncio.Task[None]] = set()
        self.failures = 0
        """Failed attempts to receive since the last one that succeeded."""

    @property
    def identity(self) -> str:
        """Globally unique name of the queue, without credentials."""
        return self._source.identity

    async def run(self) -> None:
        """Receive until the daemon stops; then finish or give back the messages in flight."""
        while not self._stopping.is_set():
            slot = await self._until_stopping(self._take_slot())
            if slot is not None:
                await self._receive(slot)
        if self._in_flight:
            await asyncio.wait(self._in_flight)

    async def _take_slot(self) -> Slot:
        """Wait for a slot; if that takes long, leave the queue's messages to other receivers."""
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                return await self._slots.take()
        except TimeoutError:
            with contextlib.suppress(VottError):
                await self._source.pause()
            return await self._slots.take()

    async def _receive(self, slot: Slot) -> None:
        """Receive a message and start on it; the slot is released at its end, or now if there is none."""
        try:
            deliveries = await self._until_stopping(self._source.receive(1, RECEIVE_SECONDS))
            self.failures = 0
        except Exception as error:  # an error of one queue must not stop the others
            self._slots.release(slot)
            await self._wait_after(error)
            return
        if not deliveries:
            self._slots.release(slot)
            return
        self._metrics.received.labels(self.identity).inc()
        task = asyncio.create_task(self._handle(deliveries[0], slot), name=f"message {deliveries[0].id}")
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _handle(self, delivery: Delivery, slot: Slot) -> None:
        try:
            async with HeldMessage(self._source, self._rejection, delivery) as held:
                result = await self._settle(delivery, held, slot)
            self._metrics.settled.labels(self.identity, result).inc()
        except Exception:
            logger.exception("message %r; the queue will deliver it again", delivery.id)
        finally:
            self._slots.release(slot)

    async def _settle(self, delivery: Delivery, held: HeldMessage, slot: Slot) -> str:
        """Train and settle, and retry what fails but for the message. Returns what became of it."""
        started = asyncio.get_running_loop().time()
        for attempt in itertools.count(1):
            try:
                return await self._trainings.train(delivery, held, slot)
            except MessageRejectedError as error:
                return "dead_lettered" if await held.reject(error) else "lock_lost"
            except OSError as error:  # a full disk, for example
                cause = str(error)
            except Exception as error:  # a bug must neither lose the message nor stop the others
                logger.exception("message %r", delivery.id)
                cause = "internal error"
                if asyncio.get_running_loop().time() - started >= INTERNAL_ERROR_SECONDS:
                    text = f"The daemon failed {attempt} times at this message ({type(error).__name__}); see its log."
                    return "dead_lettered" if await held.reject(_internal_error(text)) else "lock_lost"
            delay = backoff.MESSAGE_BACKOFF.seconds(attempt)
            logger.warning("message %r: %s; trying again in %.1f s", delivery.id, cause, delay)
            if await self._until_stopping(asyncio.sleep(delay, result=True)) is None:
                await held.give_back()
                return "abandoned"
        raise AssertionError

    async def _wait_after(self, error: Exception) -> None:
        self.failures += 1
        self._metrics.receive_errors.labels(self.identity).inc()
        delay = backoff.RECEIVE_BACKOFF.seconds(self.failures)
        expected = isinstance(error, VottError)
        text = str(error) if expected else f"{self.identity}: internal error"
        logger.warning("%s; trying again in %.1f s", text, delay, exc_info=None if expected else error)
        await self._until_stopping(asyncio.sleep(delay))

    async def _until_stopping(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Wait for the result; None if the daemon stops first."""
        task, stopping = asyncio.create_task(work), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await task  # cancelled too late, it has a result all the same
        return None


def _internal_error(text: str) -> MessageRejectedError:
    return MessageRejectedError(reasons.INTERNAL_ERROR, text)
