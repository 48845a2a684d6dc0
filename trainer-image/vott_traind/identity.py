"""Which training a message belongs to: a new one, a known one, or that of the same message under the same id (ADR 18)."""

from datetime import datetime

from vott_messaging import names
from vott_messaging.queues.base import Delivery
from vott_traind.records import Record, Records

CLOCK_SKEW_SECONDS = 300.0
"""How far this machine's clock may be ahead of the service's."""


def identify(records: Records, queue: str, delivery: Delivery, digest: str, now: float) -> Record:
    """Find the training of a delivery, or describe a new one.

    It may be that of an earlier message with the same id and content. That message need not exist any more, so this one is to start the
    training if it does not run.

    Args:
        records: what is known.
        queue: the queue's identity.
        delivery: the message.
        digest: of its content.
        now: seconds since 1970.
    """
    own_name = names.training(queue, delivery.id, delivery.sequence or digest)
    if (own := records.get(own_name)) is not None:
        return own
    name = names.training(queue, delivery.id)
    first = records.get(name)
    if first is not None and _is_of(first, delivery, digest):
        return first
    if first is not None:
        if (original := _resent(records, queue, delivery, digest)) is not None:
            return original
        name = own_name
    return Record(
        name=name, queue=queue, message_id=delivery.id, sequence=delivery.sequence, digest=digest, started=now
    )


def _is_of(record: Record, delivery: Delivery, digest: str) -> bool:
    """Whether a record is of this message, and not of another one with its id."""
    if record.sequence and delivery.sequence:
        return record.sequence == delivery.sequence
    return record.digest == digest


def _resent(records: Records, queue: str, delivery: Delivery, digest: str) -> Record | None:
    """The training of the same id and content that had not ended when this message was sent."""
    for record in records.all():
        same = (record.queue, record.message_id, record.digest) == (queue, delivery.id, digest)
        if same and record.outcome != "failed" and _was_sent_before_end(delivery.enqueued, record):
            return record
    return None


def _was_sent_before_end(sent: datetime | None, record: Record) -> bool:
    """Whether a message was sent before a training ended.

    `sent` is by the service's clock, and the end by this machine's, which is assumed to be less than CLOCK_SKEW_SECONDS ahead. A message
    that was sent that close to the end trains again: one training too many is better than one that someone waits for.
    """
    return record.outcome is None or (sent is not None and sent.timestamp() <= record.ended - CLOCK_SKEW_SECONDS)
