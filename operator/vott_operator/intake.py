"""From a delivery to a TrainingJob, and only then to a settled message.

The order is what makes it safe: create, then settle. A kill in between brings the message back, and creating the
TrainingJob of the same name again changes nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Protocol

from . import constants as c
from . import desired, names
from .callbacks import CallbackSender, payload
from .cluster import Cluster
from .errors import (
    AlreadyExistsError,
    CallbackError,
    ClusterError,
    InvalidObjectError,
    MessageRejectedError,
    SourceUnavailableError,
)
from .message import TrainMessage, parse_message
from .models import TrainingJob
from .names import Key
from .queues.base import Delivery, QueueSource
from .settings import Settings

logger = logging.getLogger(__name__)

BATCH = 32
IDLE_SECONDS = 1.0
FULL_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 30.0
MAX_REJECTIONS = 64
"""Rejections whose callbacks are on their way. They are not waited for: one slow receiver must not hold up the queue."""
MAX_ATTEMPTS = 5
"""After which a message that makes the operator itself stumble is put aside, and an unheard callback is let be."""


class Owner(Protocol):
    """What intake needs to know of the operator that it works for."""

    settings: Settings

    def room(self) -> int:
        """How many more TrainingJobs may be made now."""

    def noticed(self, trainingjob: TrainingJob) -> None:
        """A TrainingJob is there."""


class Intake:
    """Takes messages from one queue while there is room for more TrainingJobs."""

    def __init__(self, source: QueueSource, cluster: Cluster, callbacks: CallbackSender, owner: Owner) -> None:
        self._source = source
        self._cluster = cluster
        self._callbacks = callbacks
        self._owner = owner
        self._settings = owner.settings
        self._rejections: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Take messages until cancelled. A queue that can't be reached is tried again, ever slower."""
        failures = 0
        while True:
            try:
                pause = await self.take_batch()
                failures = 0
            except SourceUnavailableError as error:
                pause = min(MAX_BACKOFF_SECONDS, 2.0**failures)
                failures += 1
                logger.warning("%s; trying again in %.0f s", error, pause)
            await asyncio.sleep(pause)

    async def take_batch(self) -> float:
        """Take what is there, up to the room left. Returns the seconds to wait before the next call."""
        room = min(self._owner.room(), MAX_REJECTIONS - len(self._rejections))
        if room <= 0:
            return FULL_SECONDS
        limit = min(room, BATCH)
        deliveries = await self._source.receive(limit)
        results = await asyncio.gather(*(self._take(delivery) for delivery in deliveries), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return 0.0 if len(deliveries) == limit else IDLE_SECONDS

    async def rejected(self) -> None:
        """Wait until all rejections are settled."""
        await asyncio.gather(*self._rejections)

    async def _take(self, delivery: Delivery) -> None:
        name = names.trainingjob(self._source.identity, delivery.id)
        try:
            await self._create(parse_message(delivery.body), name, delivery)
        except MessageRejectedError as error:
            self._reject(delivery, name, error)
        except ClusterError as error:
            await self._release(delivery, str(error))
        except Exception as error:  # a fault of ours must neither lose the message nor stop the others
            logger.exception("message %s", delivery.id)
            if delivery.attempt < MAX_ATTEMPTS:
                await self._release(delivery, "a fault in the operator")
            else:
                text = f"The operator failed at this message {delivery.attempt} times ({type(error).__name__}); its log has more."
                self._reject(delivery, name, MessageRejectedError(c.INTERNAL_ERROR, text))
        else:
            await self._source.complete(delivery)

    async def _release(self, delivery: Delivery, why: str) -> None:
        delay = min(MAX_BACKOFF_SECONDS, 2.0 ** min(delivery.attempt, 10))
        logger.warning("message %s: %s; it comes back in %.0f s", delivery.id, why, delay)
        await self._source.release(delivery, delay)

    async def _create(self, message: TrainMessage, name: str, delivery: Delivery) -> None:
        manifest = desired.trainingjob_manifest(
            message,
            name=name,
            namespace=self._settings.namespace,
            plugin=self._plugin(message),
            annotations={c.ANNOTATION_QUEUE: self._source.identity, c.ANNOTATION_MESSAGE_ID: delivery.id},
        )
        try:
            trainingjob = await self._cluster.create_trainingjob(manifest)
            logger.info("message %s: TrainingJob %s created", delivery.id, trainingjob.key)
        except AlreadyExistsError:
            trainingjob = await self._cluster.read_trainingjob(Key(self._settings.namespace, name))
        except InvalidObjectError as error:
            raise MessageRejectedError(
                c.INVALID_MESSAGE, f"The TrainingJob was refused: {error.answer}", message.status
            ) from None
        secret = desired.url_secret(message, trainingjob)
        if secret is not None:
            await self._cluster.create_secret(secret)
        self._owner.noticed(trainingjob)

    def _plugin(self, message: TrainMessage) -> str:
        plugins = self._settings.plugins
        plugin = message.plugin or plugins.default
        if plugin not in plugins.allowed:
            raise MessageRejectedError(
                c.PLUGIN_NOT_ALLOWED,
                f'Field "plugin": {plugin!r} is not allowed here; choose one of {", ".join(plugins.allowed)}.',
                message.status,
            )
        return plugin

    def _reject(self, delivery: Delivery, name: str, error: MessageRejectedError) -> None:
        task = asyncio.create_task(self._settle_rejected(delivery, name, error))
        self._rejections.add(task)
        task.add_done_callback(self._rejections.discard)

    async def _settle_rejected(self, delivery: Delivery, name: str, error: MessageRejectedError) -> None:
        logger.warning("message %s of %s rejected: %s: %s", delivery.id, self._source.identity, error.reason, error)
        try:
            # Before settling, so that a kill in between says it twice rather than never.
            await self._tell_callback(name, error)
        except CallbackError as undelivered:
            logger.warning("message %s: callback not delivered: %s", delivery.id, undelivered)
            if not undelivered.permanent and delivery.attempt < MAX_ATTEMPTS:
                return await self._settle(self._release(delivery, "its sender has yet to hear of the rejection"))
        return await self._settle(self._source.reject(delivery, error.reason, str(error)))

    async def _tell_callback(self, name: str, error: MessageRejectedError) -> None:
        if error.status_url is not None:
            body = payload(name, "failed", str(error), None)
            await self._callbacks.send(error.status_url, names.webhook_id(name, "failed"), body)

    @staticmethod
    async def _settle(settling: Awaitable[None]) -> None:
        try:
            await settling
        except SourceUnavailableError as error:
            logger.warning("%s; the message comes back by itself", error)
