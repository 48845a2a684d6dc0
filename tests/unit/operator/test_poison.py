"""The form of a poison message."""

import json
import xml.etree.ElementTree as ET

import pytest

from vott_operator.queues.storage.poison_message import MAX_MESSAGE_BYTES, PoisonMessage, poison_text, read_poison


@pytest.mark.parametrize("body", ["{}", "caf\u00e9", "\x00\x1f", "\ufffe\uffff", "\ud800", '{"a": "\\u0000"}'])
def test_any_body_comes_back_through_xml_as_it_was(body: str) -> None:
    text = poison_text(PoisonMessage(body, "NotJSON", "Why.", "training", "m1"))
    element = ET.Element("MessageText")
    element.text = text
    carried = ET.fromstring(ET.tostring(element, encoding="utf-8")).text
    assert carried == text
    assert read_poison(text) == PoisonMessage(body, "NotJSON", "Why.", "training", "m1")


def test_a_body_that_leaves_no_room_for_the_reason_goes_alone() -> None:
    body = json.dumps("x" * (MAX_MESSAGE_BYTES - 10))
    assert poison_text(PoisonMessage(body, "NotJSON", "Why.")) == body
