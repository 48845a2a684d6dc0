"""AMQP 1.0 messages as the broker handles them: sections of bytes, so that a body passes through untouched.

The section codes are those of OASIS AMQP 1.0, part 3 (Messaging), 3.2.
"""

from collections.abc import Iterator
from typing import Any

from proton import Data, Described, Message, ProtonException, symbol, timestamp, ulong

from tests.support.service_bus.store import DEAD_LETTER_SUFFIX, Stored

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS = 0x70, 0x71, 0x72
PROPERTIES, APPLICATION_PROPERTIES, DATA = 0x73, 0x74, 0x75
HOP = {HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS}
"""What each hop writes anew."""


def sections(encoded: bytes) -> Iterator[tuple[int, bytes, Any]]:
    """Code, bytes and value of each section of a message."""
    while encoded:
        data = Data()
        size = data.decode(encoded)
        data.rewind()
        data.next()
        section: Any = data.get_object()
        # proton shows binary data in place, valid no longer than `data`
        value = bytes(section.value) if isinstance(section.value, memoryview) else section.value
        yield int(section.descriptor), encoded[:size], value
        encoded = encoded[size:]


def split_batch(encoded: bytes) -> list[bytes]:
    """The messages in what a client sent at once: one, or a batch with a message in each data section.

    The transfer's message format would tell, but proton does not show it; so a batch is what looks like one all through.
    """
    found = list(sections(encoded))
    inner = [value for code, _, value in found if code == DATA]
    if inner and all(_is_message(each) for each in inner):
        return inner
    return [encoded]


def _is_message(encoded: bytes) -> bool:
    try:
        codes = [code for code, _, _ in sections(encoded)]
    except (ProtonException, AttributeError, ValueError, TypeError):
        return False
    return bool(codes) and codes == sorted(codes) and codes[0] >= HEADER and codes[-1] >= DATA


def take_in(encoded: bytes) -> tuple[str, bytes]:
    """Message id (empty where there is none) and what is kept of a message that was sent."""
    message_id, kept = "", b""
    for code, raw, value in sections(encoded):
        if code == PROPERTIES and value and value[0] is not None:
            message_id = str(value[0])
        if code not in HOP:
            kept += raw
    return message_id, kept


def give_out(message: Stored) -> bytes:
    """A message as it is delivered or shown: with delivery count, annotations and, for a dead letter, why it is one."""
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
    """All data sections joined."""
    return b"".join(value for code, _, value in sections(content) if code == DATA)


def _content(message: Stored) -> bytes:
    if not message.reason:
        return message.content
    why = {"DeadLetterReason": message.reason, "DeadLetterErrorDescription": message.description}
    properties, rest = b"", b""
    for code, raw, value in sections(message.content):
        if code == PROPERTIES:
            properties = raw
        elif code == APPLICATION_PROPERTIES:
            why = {**value, **why}
        else:
            rest += raw
    return properties + _section(APPLICATION_PROPERTIES, why) + rest


def _header(delivery_count: int) -> bytes:
    """By hand, because proton leaves out a delivery count of 0: a list8 of four nulls and one uint."""
    return bytes([0x00, 0x53, HEADER, 0xC0, 10, 5, 0x40, 0x40, 0x40, 0x40, 0x70]) + delivery_count.to_bytes(4, "big")


def _section(code: int, value: Any) -> bytes:
    data = Data()
    data.put_object(Described(ulong(code), value))
    return bytes(data.encode())


def request(encoded: bytes) -> Message:
    """A request to a node like `$cbs`, whose values matter rather than its bytes."""
    message = Message()
    message.decode(encoded)
    return message
