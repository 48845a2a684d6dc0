"""Receives the messages of one queue, one for each free slot, and gets each of them trained and settled."""

import asyncio
import contextlib
import logging

from vott_messaging.delivery.receiving import receive_until_cancelled
from vott_messaging.delivery.settlement import Settlement
from vott_messaging.errors import VottError
from vott_messaging.queues.base import Delivery, QueueSource
from vott_traind.slots import Lease, Slots
from vott_traind.trainings import Trainings

logger = logging.getLogger(__name__)

RECEIVE_SECONDS = 2.0
"""How long a slot waits for a message of one queue before it waits for one of the next."""
PAUSE_SECONDS = 5.0
"""How long the service may still push a message to this receiver while all slots are taken."""


class Receiver:
    """The messages of one queue."""

    def __init__(self, source: QueueSource, settlement: Settlement, trainings: Trainings, slots: Slots) -> None:
        self._source = source
        self._settlement = settlement
        self._trainings = trainings
        self._slots = slots
        self._in_flight: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Receive until cancelled."""
        await receive_until_cancelled(self._source.identity, self._receive_one)

    async def finish(self, seconds: float) -> None:
        """Let the trainings end and settle the messages in flight; end and give back what takes longer. Cancel `run` first."""
        tasks = (*self._in_flight, *self._trainings.running)  # a training outlives its message's lock
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive_one(self) -> None:
        lease = await self._take_slot()
        try:
            for delivery in await self._source.receive(1, RECEIVE_SECONDS):
                self._start(delivery, lease.hand_over())
        finally:
            lease.release()

    async def _take_slot(self) -> Lease:
        """Wait for a slot; if that takes long, leave the queue's messages to other receivers."""
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                return await self._slots.take()
        except TimeoutError:
            with contextlib.suppress(VottError):
                await self._source.pause()
            return await self._slots.take()

    def _start(self, delivery: Delivery, lease: Lease) -> None:
        task = asyncio.create_task(self._settle(delivery, lease), name=f"message {delivery.id}")
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _settle(self, delivery: Delivery, lease: Lease) -> None:
        try:
            await self._settlement.settle(delivery, lambda held: self._trainings.train(held, lease))
        except Exception:  # settle raises none but of bugs
            logger.exception("message %r; the queue will deliver it again", delivery.id)
        finally:
            lease.release()
