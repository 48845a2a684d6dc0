"""Makes a TrainingJob of a message: what the queue's settings add, what makes it the same message again, and what is refused."""

import asyncio
import logging
from datetime import datetime
from typing import Protocol
from weakref import WeakValueDictionary

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Cluster, try_to_record
from vott_operator.decisions.notes import EventNote
from vott_operator.errors import AlreadyExistsError, InvalidObjectError, MessageRejectedError
from vott_operator.messages.message import MessageDefaults, TrainMessage, parse_message
from vott_operator.objects.metadata import Manifest
from vott_operator.objects.trainingjob import trainingjob_manifest, url_secret
from vott_operator.queues.base import Delivery
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import QueueSettings

logger = logging.getLogger(__name__)


class Registry(Protocol):
    """What is known of the TrainingJobs that there are."""

    def noticed(self, trainingjob: TrainingJob) -> None:
        """A TrainingJob is there."""

    def twin(self, queue: str, digest: str, message_id: str, window_seconds: float) -> TrainingJob | None:
        """A TrainingJob that another message of the same queue and content brought within that time."""

    def now(self) -> datetime:
        """The time, in UTC."""


class Converter:
    """Makes the TrainingJobs of one queue's messages."""

    def __init__(
        self, identity: str, queue: QueueSettings, settings: Settings, cluster: Cluster, registry: Registry
    ) -> None:
        """`identity` is the queue's, see QueueSource."""
        self._identity = identity
        self._queue = queue
        self._cluster = cluster
        self._registry = registry
        self._ttl_seconds = settings.ttl_seconds_after_finished
        self._namespace = settings.namespace_of(queue)
        self._plugins = settings.plugins_of(queue)
        self._trainingjob_defaults = settings.trainingjob_settings_of(queue)
        self._defaults = MessageDefaults(queue.model, queue.callback, self._plugins.default, queue.parameters)
        self._content_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def convert(self, delivery: Delivery) -> TrainingJob:
        """The TrainingJob of this message, made or found. Raises MessageRejectedError, and ClusterError for what may pass."""
        message = parse_message(delivery.body, self._defaults)
        window = self._queue.duplicate_window_seconds
        if not window:
            return await self._create_one(delivery, message)
        # Two of the same content may be in hand at once.
        async with self._content_locks.setdefault(message.digest, asyncio.Lock()):
            twin = self._registry.twin(self._identity, message.digest, delivery.id, window)
            if twin is None:
                return await self._create_one(delivery, message)
            await self._tell_of_duplicate(twin, delivery)
            return twin

    async def _create_one(self, delivery: Delivery, message: TrainMessage) -> TrainingJob:
        manifest = trainingjob_manifest(
            message,
            name=names.trainingjob(self._identity, delivery.id),
            namespace=self._namespace,
            plugin=self._plugin(message),
            ttl_seconds=self._ttl_seconds,
            defaults=self._trainingjob_defaults,
            annotations={
                c.ANNOTATION_QUEUE: self._identity,
                c.ANNOTATION_MESSAGE_ID: delivery.id,
                c.ANNOTATION_DIGEST: message.digest,
            },
        )
        trainingjob = await self._create_or_find(manifest, message)
        secret = url_secret(message, trainingjob)
        if secret is not None:
            await self._cluster.create_secret(secret)
        self._registry.noticed(trainingjob)
        return trainingjob

    async def _create_or_find(self, manifest: Manifest, message: TrainMessage) -> TrainingJob:
        message_id = manifest["metadata"]["annotations"][c.ANNOTATION_MESSAGE_ID]
        try:
            trainingjob = await self._cluster.create_trainingjob(manifest)
            logger.info("message %r: TrainingJob %s created", message_id, trainingjob.key)
        except AlreadyExistsError:
            trainingjob = await self._cluster.read_trainingjob(Key(self._namespace, manifest["metadata"]["name"]))
            _check_same_content(trainingjob, message_id, message)
        except InvalidObjectError as error:
            text = f"The TrainingJob was refused: {error.answer}"
            raise MessageRejectedError(c.INVALID_MESSAGE, text, message.status) from None
        return trainingjob

    def _plugin(self, message: TrainMessage) -> str:
        plugin = message.plugin or self._plugins.default
        if plugin not in self._plugins.allowed:
            raise MessageRejectedError(
                c.PLUGIN_NOT_ALLOWED,
                f'Field "plugin": {plugin!r} is not allowed here; choose one of {", ".join(self._plugins.allowed)}.',
                message.status,
            )
        return plugin

    async def _tell_of_duplicate(self, twin: TrainingJob, delivery: Delivery) -> None:
        text = f"Message {delivery.id} has the same content; no second training was made (queues[].duplicateWindowSeconds)."
        logger.info("message %r: has the same content as that of TrainingJob %s", delivery.id, twin.key)
        note = EventNote("Normal", c.DUPLICATE_MESSAGE, text)
        await try_to_record(self._cluster, twin, note, self._registry.now())


def _check_same_content(trainingjob: TrainingJob, message_id: str, message: TrainMessage) -> None:
    """Raises MessageRejectedError when that TrainingJob came from a message of the same id, but of other content."""
    known = trainingjob.metadata.annotations.get(c.ANNOTATION_DIGEST, message.digest)
    if known != message.digest:
        # Without a callback: it may be the other training's, which has not failed.
        text = (
            f"A message with the id {message_id!r} but other content came before and is TrainingJob {trainingjob.key}. "
            "Give each message an id of its own, or none."
        )
        raise MessageRejectedError(c.MESSAGE_ID_REUSED, text)
