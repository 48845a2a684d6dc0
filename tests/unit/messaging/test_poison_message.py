"""The format of messages in a poison queue."""

import json
import xml.etree.ElementTree as ET

import pytest

from vott_messaging.queues.storage.poison_message import (
    MAX_MESSAGE_BYTES,
    PoisonMessage,
    format_poison_message,
    parse_poison_message,
)


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "caf\u00e9",
        "\x00\x1f",
        "\ufffe\uffff",
        "\ud800",
        '{"a": "\\u0000"}',
        '{"a":\r\n "\u00fc\u2028\\u0000"}',
    ],
)
def test_any_body_survives_the_services_xml(body: str) -> None:
    poison = PoisonMessage(body, "NotJSON", "It is not JSON.", queue="training", message_id="m-1")
    text = format_poison_message(poison)
    element = ET.Element("MessageText")
    element.text = text

    received = ET.fromstring(ET.tostring(element, encoding="utf-8")).text

    assert received == text
    assert parse_poison_message(text) == poison


@pytest.mark.parametrize("body", [json.dumps("x" * (MAX_MESSAGE_BYTES - 10)), '"' * (MAX_MESSAGE_BYTES - 10)])
def test_a_body_too_large_for_the_reason_is_stored_alone(body: str) -> None:
    assert format_poison_message(PoisonMessage(body, "NotJSON", "It is not JSON.")) == body


def test_a_message_of_the_largest_size_keeps_its_reason() -> None:
    overhead = len(format_poison_message(PoisonMessage("", "NotJSON")))
    largest = PoisonMessage("x" * (MAX_MESSAGE_BYTES - overhead), "NotJSON")
    assert parse_poison_message(format_poison_message(largest)) == largest


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[" * 100_000,
        '{"annotations": "https://host/a.csv"}',
        '{"body": "x"}',
        '{"reason": 1, "message": "", "queue": "", "messageId": "", "body": ""}',
        "[]",
    ],
)
def test_a_poison_message_of_another_writer_is_the_body(text: str) -> None:
    assert parse_poison_message(text) == PoisonMessage(text)
