"""The trainings of one queue's messages: find a message's training, start it or wait for it, and say how its message is settled.

A training belongs to no delivery: if the lock is lost, it goes on, and the next delivery waits for it.
"""

import asyncio
import logging

from vott_messaging.errors import MessageGivenBackError, MessageRejectedError
from vott_messaging.messages.message import TrainMessage, parse_message
from vott_messaging.messages.queue_defaults import MessageDefaults
from vott_messaging.queues.base import Delivery
from vott_messaging.settings.plugins import PluginSettings
from vott_traind.folders import StateUnavailableError
from vott_traind.identity import identify
from vott_traind.parts import Parts
from vott_traind.records import Record
from vott_traind.slots import Lease
from vott_traind.training import Training

logger = logging.getLogger(__name__)


class Trainings:
    """The trainings of one queue's messages."""

    def __init__(self, identity: str, plugins: PluginSettings, defaults: MessageDefaults, parts: Parts) -> None:
        """`identity` is the queue's."""
        self._identity = identity
        self._plugins = plugins
        self._defaults = defaults
        self._parts = parts
        self._running: dict[str, tuple[str, asyncio.Task[Record]]] = {}
        """By name: the digest of the message, and the training."""

    @property
    def running(self) -> list["asyncio.Task[Record]"]:
        """The trainings that run, also those whose message was lost."""
        return [task for _, task in self._running.values()]

    async def train(self, delivery: Delivery, lease: Lease) -> None:
        """Train one message, or wait for its training. It goes on in its slot if this call is cancelled.

        Args:
            delivery: the message.
            lease: on the slot to train in. It ends once the message needs no slot, whatever its settlement still waits for; after an error
                that is retried it is kept, so that no other message is received meanwhile.

        Raises:
            MessageRejectedError: it can never be trained, or its training has failed; then the callback gets the outcome by itself.
            MessageGivenBackError: the daemon stops.
            StateUnavailableError: the state folder can't be read; try again.
        """
        try:
            record = await self._record(delivery, lease)
        except (MessageRejectedError, MessageGivenBackError):
            lease.release()
            raise
        lease.release()
        if not record.outcome:
            raise MessageGivenBackError(f"{record.name} was interrupted")
        if record.outcome == "failed":
            raise MessageRejectedError(record.reason, record.message)

    async def _record(self, delivery: Delivery, lease: Lease) -> Record:
        """Return the record of a message's training once it has ended or was interrupted."""
        if self._parts.stopping.is_set():
            raise MessageGivenBackError("the daemon stops")
        message = parse_message(delivery.body, self._defaults)
        plugin = self._plugins.plugin_of(message)
        record = self._identify(delivery, message)
        if record.outcome:
            logger.info("message %r: %s has %s before", delivery.id, record.name, record.outcome)
            return record
        if (running := self._running.get(record.name)) is not None:
            digest, task = running
            if digest != record.digest:  # another message has the id of one whose record can't be written yet
                raise StateUnavailableError(f"{record.name} has no record yet")
            logger.info("message %r waits for %s, which is being trained", delivery.id, record.name)
            lease.release()
            return await _join(task)
        return await self._start(Training(record, message, plugin, lease.slot, self._parts), record, lease)

    def _identify(self, delivery: Delivery, message: TrainMessage) -> Record:
        parts = self._parts
        try:
            return identify(parts.records, self._identity, delivery, message.digest, parts.clock())
        except OSError as error:
            raise StateUnavailableError(f"{self._identity}: {error}") from error

    async def _start(self, training: Training, record: Record, lease: Lease) -> Record:
        task = asyncio.create_task(training.run(), name=record.name)
        self._running[record.name] = record.digest, task
        task.add_done_callback(lambda _: self._running.pop(record.name))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:  # the lock was lost: the slot is the training's until it ends
            own = lease.hand_over()
            task.add_done_callback(lambda _: own.release())
            raise


async def _join(running: "asyncio.Task[Record]") -> Record:
    """Wait for a training that another delivery has started."""
    try:
        return await asyncio.shield(running)
    except Exception as error:  # that delivery, which has the slot, logs and retries it
        raise MessageGivenBackError(f"{running.get_name()} met an internal error") from error
