"""Bodies and ids of Service Bus messages: every kind of AMQP section, as Qpid's encoder puts it on the wire."""

import json
import uuid
from typing import Any

import pytest
from azure.servicebus import ServiceBusReceivedMessage
from proton import Data, Message, symbol, timestamp

from vott_messaging.errors import MessageRejectedError
from vott_messaging.messages.message import parse_message
from vott_messaging.queues.service_bus.message import body_bytes, message_id, requeued_id, sequence, trace_context

FIELDS = {
    "annotations": "https://host/\u00fc.csv?a=1&b=2",
    "model": "https://store/m",
    "parameters": {"epochs": 3, "list": [1, 0.5]},
}
JSON = json.dumps(FIELDS)
MESSAGE = parse_message(JSON.encode())
SEQUENCE_SECTION = b"\x00\x53\x76"
DATA_SECTION = b"\x00\x53\x75"
ID = uuid.UUID("9f2b0c4e-5d11-4a2f-8f0e-3c7d1f6a2b90")  # fixed: test ids must be the same in all processes


def value(body: Any) -> bytes:
    """A message with one amqp-value section."""
    return bytes(Message(body=body, inferred=False).encode())


def sections(head: bytes, *bodies: Any) -> bytes:
    """A message with several sections of one kind."""
    return b"".join(head + _encoded(body) for body in bodies)


def _encoded(body: Any) -> bytes:
    data = Data()
    data.put_object(body)
    return bytes(data.encode())


def received(raw: bytes) -> bytes:
    return body_bytes(ServiceBusReceivedMessage.from_bytes(raw))


@pytest.mark.parametrize(
    "raw",
    [
        value(JSON),
        value(JSON.encode()),
        value(FIELDS),
        value({symbol(name): item for name, item in FIELDS.items()}),
        value({**FIELDS, "id": ID, "sent": timestamp(1), 5: None}),
        value(json.dumps(JSON)),
        sections(DATA_SECTION, JSON.encode()),
        sections(DATA_SECTION, JSON.encode()[:30], b"", JSON.encode()[30:]),
        sections(SEQUENCE_SECTION, [JSON]),
        sections(SEQUENCE_SECTION, [JSON.encode()]),
        sections(SEQUENCE_SECTION, [FIELDS]),
        sections(SEQUENCE_SECTION, [], [FIELDS]),
    ],
)
def test_any_kind_of_body_is_read(raw: bytes) -> None:
    assert parse_message(received(raw)) == MESSAGE


@pytest.mark.parametrize(
    ("raw", "reason", "expected"),
    [
        (value(None), "NotAnObject", "null and not an object"),
        (value(5), "NotAnObject", "a number and not an object"),
        (value([FIELDS]), "NotAnObject", "a list and not an object. Send each training as a message of its own."),
        (sections(SEQUENCE_SECTION, [FIELDS, FIELDS]), "NotAnObject", "a list and not an object"),
        (sections(SEQUENCE_SECTION, [JSON], [JSON]), "NotAnObject", "a list and not an object"),
        (sections(SEQUENCE_SECTION, []), "NotAnObject", "a list and not an object"),
        (sections(DATA_SECTION, JSON.encode(), JSON.encode()), "NotJSON", "Extra data"),
        (
            value({"annotations": b"\xff"}),
            "InvalidMessage",
            'Field "annotations" contains spaces, control characters or backslashes',
        ),
        (value({"annotations": ID, "model": [b"x"]}), "InvalidMessage", 'Field "model" is a list'),
    ],
)
def test_a_body_of_another_kind_is_refused_with_its_reason(raw: bytes, reason: str, expected: str) -> None:
    with pytest.raises(MessageRejectedError) as caught:
        parse_message(received(raw))
    assert caught.value.reason == reason
    assert expected in str(caught.value)


def numbered(number: int, sent_id: str | None, seconds: float = 1.0) -> ServiceBusReceivedMessage:
    """A message with a sequence number and an enqueue time, as the service adds them."""
    message = Message(body=JSON, id=sent_id)
    message.annotations = {
        symbol("x-opt-sequence-number"): number,
        symbol("x-opt-enqueued-time"): timestamp(int(seconds * 1000)),
    }
    return ServiceBusReceivedMessage.from_bytes(bytes(message.encode()))


def test_messages_to_which_the_sender_gave_one_id_have_a_sequence() -> None:
    messages = [numbered(1, "a"), numbered(2, "a"), numbered(1, "a", seconds=2.0)]
    assert {message_id(message) for message in messages} == {"a"}
    assert len({sequence(message) for message in messages} - {""}) == 3  # a queue that is recreated counts from 1 again


def test_an_id_of_the_service_needs_no_sequence() -> None:
    assert (message_id(numbered(1, None)), sequence(numbered(1, None))) == ("sequence-1-1000", "")


def test_a_requeued_message_has_a_unique_id_and_needs_no_sequence() -> None:
    new_id = requeued_id(numbered(7, "a" * 128))
    assert (len(new_id), new_id.endswith("-requeued-7")) == (128, True)
    assert sequence(numbered(8, new_id)) == ""
    assert requeued_id(numbered(9, new_id)).endswith("a-requeued-9")


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, ""),
        ({"traceparent": TRACEPARENT}, TRACEPARENT),
        ({"Diagnostic-Id": TRACEPARENT}, TRACEPARENT),
        ({"traceparent": "none", "Diagnostic-Id": TRACEPARENT}, TRACEPARENT),
        ({"Diagnostic-Id": "|4bf92f35.1."}, ""),
        ({"traceparent": 7}, ""),
    ],
)
def test_the_trace_context_is_a_property(properties: dict[str, Any], expected: str) -> None:
    raw = bytes(Message(body=JSON, properties=properties).encode())
    assert trace_context(ServiceBusReceivedMessage.from_bytes(raw)) == expected


def test_the_same_training_in_another_trace_has_the_same_content() -> None:
    traced = parse_message(json.dumps(FIELDS | {"traceparent": TRACEPARENT}).encode())
    assert (traced.digest, traced.traceparent) == (MESSAGE.digest, TRACEPARENT)
