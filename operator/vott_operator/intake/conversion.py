"""Converts a message into a TrainingJob: adds the queue's settings, recognizes a redelivery, rejects what is not allowed."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime

from vott_guard.log_format import fields
from vott_messaging import names, reasons
from vott_messaging.errors import MessageRejectedError
from vott_messaging.messages.message import TrainMessage, parse_message
from vott_messaging.queues.base import Delivery
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.events import record_event
from vott_operator.cluster.role_binding import RoleBindingFinalizers
from vott_operator.cluster.store import Store
from vott_operator.decisions.spans import SpanRecord
from vott_operator.decisions.transition_events import Event
from vott_operator.errors import AlreadyExistsError, InvalidObjectError
from vott_operator.intake.duplicates import Duplicates
from vott_operator.objects.metadata import Manifest
from vott_operator.objects.trainingjob import trainingjob_manifest
from vott_operator.objects.url_secret import url_secret_manifest
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import OperatorQueueSettings
from vott_operator.tracing import NO_TRACING, Tracing

logger = logging.getLogger(__name__)


class Converter:
    """Creates the TrainingJobs of one queue's messages."""

    def __init__(
        self,
        identity: str,
        queue: OperatorQueueSettings,
        settings: Settings,
        cluster: Cluster,
        store: Store,
        bindings: RoleBindingFinalizers,
        clock: Callable[[], datetime],
        on_created: Callable[[TrainingJob], None],
        tracing: Tracing = NO_TRACING,
    ) -> None:
        """`identity` is the queue's, see `QueueSource`. `on_created` is called with each TrainingJob, created now or before."""
        self._identity = identity
        self._cluster = cluster
        self._store = store
        self._bindings = bindings
        self._clock = clock
        self._on_created = on_created
        self._tracing = tracing
        self._ttl_seconds = settings.ttl_seconds_after_finished
        self._namespace = settings.namespace_of(queue)
        self._plugins = settings.plugins_of(queue)
        self._trainingjob_defaults = settings.trainingjob_settings_of(queue)
        self._message_defaults = queue.message_defaults(self._plugins)
        self._duplicates = Duplicates(store, identity, queue.duplicate_window_seconds, clock)

    async def convert(self, delivery: Delivery) -> TrainingJob:
        """Create the TrainingJob of this message, or find the one that exists.

        Raises:
            MessageRejectedError: it can never become a TrainingJob.
            ClusterError: the API server failed; try again.
        """
        attributes = {"messaging.destination.name": self._identity, "messaging.message.id": delivery.id}
        try:
            message = parse_message(delivery.body, self._message_defaults)
        except MessageRejectedError as error:
            rejected = SpanRecord("process message", self._clock(), self._clock(), attributes, error.reason)
            self._tracing.record(rejected, delivery.traceparent)
            raise
        parent = delivery.traceparent or message.traceparent
        with self._tracing.span("process message", parent, "consumer", attributes) as traceparent:
            async with self._bindings.hold(self._namespace) if message.status else nullcontext():
                return await self._convert(replace(delivery, traceparent=traceparent), message)

    async def _convert(self, delivery: Delivery, message: TrainMessage) -> TrainingJob:
        if not self._duplicates.is_enabled:
            return await self._train(delivery, message)
        async with self._duplicates.content_lock(message.digest):
            original = self._duplicates.find(message.digest, delivery)
            if original is None:
                return await self._train(delivery, message)
            await self._record_duplicate(original, delivery, "within queues[].duplicateWindowSeconds")
            return original

    async def _train(self, delivery: Delivery, message: TrainMessage) -> TrainingJob:
        """The TrainingJob of this message, under the name of its id unless another message of that id has it (ADR 18)."""
        own_name = names.training(self._identity, delivery.id, delivery.sequence or message.digest)
        if self._store.observed(Key(self._namespace, own_name)) is None:
            trainingjob = await self._create_or_find(names.training(self._identity, delivery.id), delivery, message)
            if _is_of(trainingjob, delivery, message):
                return await self._complete(trainingjob, message)
            self._on_created(trainingjob)
        async with self._duplicates.id_lock(delivery.id):
            return await self._train_again(own_name, delivery, message)

    async def _train_again(self, name: str, delivery: Delivery, message: TrainMessage) -> TrainingJob:
        """The TrainingJob of a message whose id another message had before."""
        is_new = self._store.observed(Key(self._namespace, name)) is None
        if is_new and (original := self._duplicates.find_resent(message.digest, delivery)) is not None:
            await self._record_duplicate(original, delivery, "and the same id, and was sent before this training ended")
            return original
        return await self._complete(await self._create_or_find(name, delivery, message), message)

    async def _complete(self, trainingjob: TrainingJob, message: TrainMessage) -> TrainingJob:
        """Create the Secret, too, which may be missing if the operator was killed."""
        secret = url_secret_manifest(message, trainingjob)
        if secret is not None:
            await self._cluster.create_secret(secret)
        self._on_created(trainingjob)
        if secret is not None and message.status:
            self._store.put_callback_url(trainingjob, message.status)
        return trainingjob

    async def _create_or_find(self, name: str, delivery: Delivery, message: TrainMessage) -> TrainingJob:
        try:
            trainingjob = await self._cluster.create_trainingjob(self._manifest(name, delivery, message))
            logger.info("TrainingJob created", extra=fields(trainingJob=trainingjob.key))
        except AlreadyExistsError:
            trainingjob = await self._cluster.read_trainingjob(Key(self._namespace, name))
        except InvalidObjectError as error:
            text = f"The API server refused the TrainingJob: {error.answer}"
            raise MessageRejectedError(reasons.INVALID_MESSAGE, text, message.status) from None
        return trainingjob

    def _manifest(self, name: str, delivery: Delivery, message: TrainMessage) -> Manifest:
        annotations = {
            c.ANNOTATION_QUEUE: self._identity,
            c.ANNOTATION_MESSAGE_ID: delivery.id,
            c.ANNOTATION_DIGEST: message.digest,
        }
        if delivery.sequence:
            annotations[c.ANNOTATION_MESSAGE_SEQUENCE] = delivery.sequence
        if delivery.traceparent:
            annotations[c.ANNOTATION_TRACEPARENT] = delivery.traceparent
        return trainingjob_manifest(
            message,
            name=name,
            namespace=self._namespace,
            plugin=self._plugins.plugin_of(message),
            ttl_seconds=self._ttl_seconds,
            defaults=self._trainingjob_defaults,
            annotations=annotations,
        )

    async def _record_duplicate(self, original: TrainingJob, delivery: Delivery, why: str) -> None:
        logger.info(
            "same content as an earlier message", extra=fields(trainingJob=original.key, reason=c.DUPLICATE_MESSAGE)
        )
        text = f"Message {delivery.id} has the same content {why}; it starts no second training."
        event = Event("Normal", c.DUPLICATE_MESSAGE, text)
        await record_event(self._cluster, original, event, self._clock())


def _is_of(trainingjob: TrainingJob, delivery: Delivery, message: TrainMessage) -> bool:
    """Whether a TrainingJob with this message's id is of this message and not of another one with its id."""
    annotations = trainingjob.metadata.annotations
    sequence = annotations.get(c.ANNOTATION_MESSAGE_SEQUENCE)
    if sequence and delivery.sequence:
        return sequence == delivery.sequence
    return annotations.get(c.ANNOTATION_DIGEST, message.digest) == message.digest
