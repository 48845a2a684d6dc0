"""What VoTT may put on the queue, and what is said of everything else."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vott_operator.errors import MessageRejectedError
from vott_operator.message import TrainMessage, parse_message

GOOD = {
    "annotations": "https://host/a.csv",
    "model": "https://store/models?sig=SECRET",
    "status": "https://host/status",
}


def test_the_seeds_message_is_understood() -> None:
    message = parse_message(json.dumps(GOOD))
    assert (message.annotations, message.model, message.status) == tuple(GOOD.values())


def test_base64_of_json_is_understood() -> None:
    text = base64.b64encode(json.dumps(GOOD).encode()).decode()
    assert parse_message(text) == parse_message(json.dumps(GOOD))


@pytest.mark.parametrize("field", ["plugin", "plugin_name"])
def test_plugin_may_have_either_name(field: str) -> None:
    assert parse_message(json.dumps(GOOD | {field: "hello-world"})).plugin == "hello-world"


def test_fields_of_others_are_ignored() -> None:
    assert parse_message(json.dumps(GOOD | {"projectId": 7})).annotations == GOOD["annotations"]


def test_callback_is_optional() -> None:
    assert parse_message(json.dumps(GOOD | {"status": None})).status is None


@pytest.mark.parametrize(
    ("body", "reason", "sentence"),
    [
        ("", "NotJSON", "not valid JSON"),
        ("{'annotations': 1}", "NotJSON", "line 1, column 2"),
        ("aGVsbG8=", "NotJSON", "not valid JSON"),
        ("[1]", "NotAnObject", "a list and not an object"),
        ("null", "NotAnObject", "null and not an object"),
        ("[" * 100_000, "NotJSON", "not valid JSON"),
        ("{}", "InvalidMessage", 'Field "annotations" is missing'),
        ('{"annotations": "https://h/a"}', "InvalidMessage", 'Field "model" is missing'),
        (json.dumps(GOOD | {"model": "ftp://h/m"}), "InvalidMessage", 'Field "model" is not an http(s) URL'),
        (json.dumps(GOOD | {"model": "https:///m"}), "InvalidMessage", "names no host"),
        (json.dumps(GOOD | {"model": "https://u:p@h/m"}), "InvalidMessage", "user name or password"),
        (json.dumps(GOOD | {"model": "https://h/a b"}), "InvalidMessage", "spaces or control characters"),
        (json.dumps(GOOD | {"model": "https://h:99999/"}), "InvalidMessage", "is not a URL"),
        (json.dumps(GOOD | {"model": "https://h/" + "a" * 9000}), "InvalidMessage", "longer than"),
        (json.dumps(GOOD | {"annotations": 5}), "InvalidMessage", 'Field "annotations"'),
        (json.dumps(GOOD | {"plugin": "../x"}), "InvalidMessage", 'Field "plugin"'),
        (
            '{"annotations": "https://h/a", "model": "https://h/m", "parameters": ' + '{"a":' * 40 + "1" + "}" * 41,
            "InvalidMessage",
            "nested",
        ),
        (json.dumps(GOOD | {"parameters": []}), "InvalidMessage", 'Field "parameters"'),
    ],
)
def test_a_bad_message_is_explained(body: str, reason: str, sentence: str) -> None:
    with pytest.raises(MessageRejectedError) as caught:
        parse_message(body)
    assert caught.value.reason == reason
    assert sentence in str(caught.value)


def test_the_explanation_never_shows_a_credential() -> None:
    with pytest.raises(MessageRejectedError) as caught:
        parse_message(json.dumps(GOOD | {"model": "ftp://h/m?sig=SECRET", "plugin": "SECRET/.."}))
    assert "SECRET" not in str(caught.value)


def test_what_is_no_url_at_all_is_not_shown_either() -> None:
    with pytest.raises(MessageRejectedError) as caught:
        parse_message(json.dumps(GOOD | {"model": "sig=SECRET"}))
    assert "SECRET" not in str(caught.value)


def test_a_rejected_message_still_tells_its_callback() -> None:
    with pytest.raises(MessageRejectedError) as caught:
        parse_message(json.dumps({"status": GOOD["status"]}))
    assert caught.value.status_url == GOOD["status"]


def test_an_unusable_callback_is_not_told() -> None:
    with pytest.raises(MessageRejectedError) as caught:
        parse_message(json.dumps({"status": "file:///etc/passwd"}))
    assert caught.value.status_url is None


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from([*GOOD, "plugin", "parameters", "x"]), inner)
            ),
        ).map(json.dumps),
    )
)
def test_any_text_is_a_message_or_a_rejection(body: str) -> None:
    try:
        outcome: TrainMessage | MessageRejectedError = parse_message(body)
    except MessageRejectedError as error:
        outcome = error
    assert isinstance(outcome, TrainMessage) or (outcome.reason and str(outcome))
