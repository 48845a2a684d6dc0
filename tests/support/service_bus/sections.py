"""Encode and decode the sections of AMQP 1.0 messages; bodies stay unchanged as bytes.

Section codes: OASIS AMQP 1.0, part 3 (Messaging), 3.2.
"""

from collections.abc import Iterator
from typing import Any

from proton import Data, Described, Message, ProtonException, symbol, timestamp, ulong

from tests.support.service_bus.store import DEAD_LETTER_SUFFIX, Stored

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS = 0x70, 0x71, 0x72
PROPERTIES, APPLICATION_PROPERTIES, DATA = 0x73, 0x74, 0x75
PER_HOP = {HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS}
"""Sections that each hop replaces."""


def sections(encoded: bytes) -> Iterator[tuple[int, bytes, Any]]:
    """Code, bytes and value of each section of a message."""
    while encoded:
        data = Data()
        size = data.decode(encoded)
        data.rewind()
        data.next()
        section: Any = data.get_object()
        # a memoryview is valid only as long as `data`
        value = bytes(section.value) if isinstance(section.value, memoryview) else section.value
        yield int(section.descriptor), encoded[:size], value
        encoded = encoded[size:]


def split_batch(encoded: bytes) -> list[bytes]:
    """Split a transfer into messages: one message, or a batch with a message in each data section.

    proton doesn't expose the transfer's message format, so it is a batch if all data sections parse as messages.
    """
    decoded = list(sections(encoded))
    inner = [value for code, _, value in decoded if code == DATA]
    if inner and all(_is_message(each) for each in inner):
        return inner
    return [encoded]


def _is_message(encoded: bytes) -> bool:
    try:
        codes = [code for code, _, _ in sections(encoded)]
    except (ProtonException, AttributeError, ValueError, TypeError):
        return False
    return bool(codes) and codes == sorted(codes) and codes[0] >= HEADER and codes[-1] >= DATA


def parse_incoming(encoded: bytes) -> tuple[str, bytes]:
    """Message id (or empty) and the content to store of an incoming message."""
    message_id, content = "", b""
    for code, raw, value in sections(encoded):
        if code == PROPERTIES and value and value[0] is not None:
            message_id = str(value[0])
        if code not in PER_HOP:
            content += raw
    return message_id, content


def encode_delivery(message: Stored) -> bytes:
    """Encode a message for delivery or browsing, with delivery count, annotations and dead-letter properties."""
    annotations: dict[symbol, Any] = {
        symbol("x-opt-sequence-number"): message.sequence,
        symbol("x-opt-enqueue-sequence-number"): message.sequence,
        symbol("x-opt-enqueued-time"): timestamp(int(message.enqueued * 1000)),
    }
    if message.locked_until is not None:
        annotations[symbol("x-opt-locked-until")] = timestamp(int(message.locked_until * 1000))
    if message.entity.endswith(DEAD_LETTER_SUFFIX):
        annotations[symbol("x-opt-deadletter-source")] = message.entity.removesuffix(DEAD_LETTER_SUFFIX)
    return _header(message.delivery_count) + _section(MESSAGE_ANNOTATIONS, annotations) + _content(message)


def body(content: bytes) -> bytes:
    """The joined data sections."""
    return b"".join(value for code, _, value in sections(content) if code == DATA)


def _content(message: Stored) -> bytes:
    if not message.reason:
        return message.content
    dead_letter = {"DeadLetterReason": message.reason, "DeadLetterErrorDescription": message.description}
    properties, rest = b"", b""
    for code, raw, value in sections(message.content):
        if code == PROPERTIES:
            properties = raw
        elif code == APPLICATION_PROPERTIES:
            dead_letter = {**value, **dead_letter}
        else:
            rest += raw
    return properties + _section(APPLICATION_PROPERTIES, dead_letter) + rest


def _header(delivery_count: int) -> bytes:
    """A list8 of four nulls and one uint, encoded manually because proton omits a delivery count of 0."""
    return bytes([0x00, 0x53, HEADER, 0xC0, 10, 5, 0x40, 0x40, 0x40, 0x40, 0x70]) + delivery_count.to_bytes(4, "big")


def _section(code: int, value: Any) -> bytes:
    data = Data()
    data.put_object(Described(ulong(code), value))
    return bytes(data.encode())


def request(encoded: bytes) -> Message:
    """Decode a request to a node such as `$cbs`."""
    message = Message()
    message.decode(encoded)
    return message
