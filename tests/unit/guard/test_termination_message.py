"""The trainer's termination message, which anything in the container may have written instead."""

import pytest

from vott_guard.termination_message import parse_termination_message


def test_a_termination_message_has_reason_and_message() -> None:
    text = '{"reason": "BadAnnotations", "message": "line 7: wrong."}'
    assert parse_termination_message(text) == ("BadAnnotations", "line 7: wrong.")


@pytest.mark.parametrize(
    "text",
    [
        *("", "killed", "[]", "3", "[" * 3000),
        *('{"reason": "Word"}', '{"reason": "two words", "message": "m"}', '{"reason": "A\\n", "message": "m"}'),
        *('{"reason": "A", "message": " "}', '{"reason": "A", "message": 1}', '{"reason": 1, "message": "m"}'),
    ],
)
def test_any_other_text_explains_nothing(text: str) -> None:
    assert parse_termination_message(text) is None
