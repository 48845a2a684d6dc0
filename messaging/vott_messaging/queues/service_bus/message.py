"""Body and ids of an Azure Service Bus message."""

import json
import re
from collections.abc import Iterable
from typing import Any

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType

from vott_messaging.trace_context import traceparent

MAX_MESSAGE_ID = 128
TRACE_PROPERTIES = ("traceparent", "Diagnostic-Id")
REQUEUED = re.compile(r"-requeued-\d+$")


def body_bytes(message: ServiceBusReceivedMessage) -> bytes:
    """The message's body: its data sections joined; a text or bytes as they are; other AMQP values as JSON.

    A sequence of one value is that value, otherwise a list.
    """
    if message.body_type == AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    value = message.body if message.body_type == AmqpMessageBodyType.VALUE else _sequence(message.body)
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(_json_value(value), default=str).encode()


def message_id(message: ServiceBusReceivedMessage) -> str:
    """The sender's MessageId, or else the service's own id."""
    return str(message.message_id) if message.message_id else _service_id(message)


def sequence(message: ServiceBusReceivedMessage) -> str:
    """See Delivery. Empty also for a requeued message, whose id is unique, and the same if it is sent twice."""
    return _service_id(message) if message.message_id and not REQUEUED.search(str(message.message_id)) else ""


def trace_context(message: ServiceBusReceivedMessage) -> str:
    """The traceparent in the properties: `traceparent`, or `Diagnostic-Id`, as Azure's clients name it."""
    properties = message.application_properties or {}
    values = [properties.get(name) or properties.get(name.encode()) for name in TRACE_PROPERTIES]
    return next(filter(None, map(traceparent, values)), "")


def requeued_id(message: ServiceBusReceivedMessage) -> str:
    """A new id, because duplicate detection drops a known one; the same id for each requeue of this message."""
    suffix = f"-requeued-{message.sequence_number}"
    original = REQUEUED.sub("", message_id(message))
    return original[: MAX_MESSAGE_ID - len(suffix)] + suffix


def _service_id(message: ServiceBusReceivedMessage) -> str:
    """Sequence number and enqueue time: a queue that is recreated counts from 1 again."""
    time = message.enqueued_time_utc
    return f"sequence-{message.sequence_number}" + (f"-{time.timestamp() * 1000:.0f}" if time else "")


def _sequence(sections: Iterable[Any]) -> Any:
    values = [value for section in sections for value in (section if isinstance(section, list) else [section])]
    return values[0] if len(values) == 1 else values


def _json_value(value: Any) -> Any:
    """An AMQP value for JSON. The client returns strings and symbols as bytes, and nests at most 64 levels."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, dict):
        return {str(_json_value(name)): _json_value(item) for name, item in value.items()}
    return [_json_value(item) for item in value] if isinstance(value, list | tuple) else value
