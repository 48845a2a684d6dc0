"""Messages: the fields of VoTT and VoTT-web, the queue's defaults, rejections and the digest."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vott_messaging.errors import MessageRejectedError
from vott_messaging.messages.decoding import MAX_BYTES
from vott_messaging.messages.json_values import MAX_DEPTH
from vott_messaging.messages.message import TrainMessage, parse_message
from vott_messaging.messages.parameters import MAX_PARAMETERS_BYTES, MAX_PARAMETERS_VALUES
from vott_messaging.messages.queue_defaults import MessageDefaults
from vott_messaging.settings.queue import QueueSettings

GOOD = {
    "annotations": "https://host/a.csv",
    "model": "https://store/models?sig=SECRET",
    "status": "https://host/status",
}
VOTT_WEB = {"projectId": "cats & dogs", "requestId": 7, "url": "https://host/a.csv?sig=SECRET"}
QUEUE = MessageDefaults(
    model="https://store/{projectId}/{requestId}.tgz?sig=KEY", callback="https://web/{requestId}/status"
)
DEEPEST = json.dumps(GOOD)[:-1] + ', "parameters": {"a": ' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "}}"


def parse(fields: object, defaults: MessageDefaults | None = None) -> TrainMessage:
    body = (fields if isinstance(fields, str) else json.dumps(fields)).encode()
    return parse_message(body) if defaults is None else parse_message(body, defaults)


def rejection(body: object, defaults: MessageDefaults = QUEUE) -> MessageRejectedError:
    with pytest.raises(MessageRejectedError) as caught:
        parse_message(body if isinstance(body, bytes) else json.dumps(body).encode(), defaults)
    return caught.value


def with_raw(field: str, value: str) -> bytes:
    """The good message plus a field in raw JSON, which no serializer would write."""
    return f'{json.dumps(GOOD)[:-1]}, "{field}": {value}}}'.encode()


# -------------------------------------------------------------------------------------------------------- accepted messages


def test_votts_message_is_accepted() -> None:
    message = parse(GOOD)
    assert (message.annotations, message.model, message.status) == tuple(GOOD.values())


@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: b"\xef\xbb\xbf" + text, lambda text: text + b"\n"])
def test_base64_is_decoded(wrap: Any) -> None:
    assert parse_message(wrap(base64.b64encode(wrap(json.dumps(GOOD).encode())))) == parse(GOOD)


def test_data_and_model_may_be_in_buckets() -> None:
    message = parse(GOOD | {"annotations": "s3://data/cats/a.csv", "model": "s3://models"})
    assert (message.annotations, message.model) == ("s3://data/cats/a.csv", "s3://models")


def test_a_message_of_the_largest_size_is_accepted() -> None:
    assert parse_message(json.dumps(GOOD).encode().ljust(MAX_BYTES)) == parse(GOOD)


def test_a_byte_order_mark_is_ignored() -> None:
    assert parse_message(b"\xef\xbb\xbf" + json.dumps(GOOD).encode()) == parse(GOOD)


@pytest.mark.parametrize("field", ["plugin", "plugin_name"])
def test_the_plugin_has_two_names(field: str) -> None:
    assert parse(GOOD | {field: "hello-world"}).plugin == "hello-world"


def test_other_fields_are_ignored() -> None:
    assert parse(GOOD | {"createdAt": [], "tags": {"a": 1}}, QUEUE) == parse(GOOD)


def test_null_means_absent() -> None:
    message = parse(GOOD | {"status": None, "plugin": None, "parameters": None})
    assert (message.status, message.plugin, message.parameters) == (None, None, {})


def test_parameters_may_be_nested_to_the_maximum_depth() -> None:
    assert "a" in parse(DEEPEST).parameters


def test_parameters_with_as_many_values_as_allowed_are_accepted() -> None:
    values: list[Any] = [{}] * (MAX_PARAMETERS_VALUES - 1)
    assert parse(json.dumps(GOOD | {"parameters": {"a": values}})).parameters == {"a": values}


# --------------------------------------------------------------------------------------------- VoTT-web, and the defaults


def test_vott_webs_message_gets_the_queues_model_and_callback() -> None:
    message = parse(VOTT_WEB, QUEUE)
    assert message.annotations == VOTT_WEB["url"]
    assert message.model == "https://store/cats%20%26%20dogs/7.tgz?sig=KEY"
    assert message.status == "https://web/7/status"


def test_the_messages_model_and_callback_take_precedence() -> None:
    message = parse(GOOD | VOTT_WEB | {"projectId": ["not used"]}, QUEUE)
    assert (message.annotations, message.model, message.status) == tuple(GOOD.values())


def test_a_template_without_ids_fits_every_message() -> None:
    message = parse({"annotations": GOOD["annotations"]}, MessageDefaults(model="https://store/models"))
    assert message.model == "https://store/models"


def test_a_message_without_ids_gets_no_callback_that_needs_them() -> None:
    assert parse({key: GOOD[key] for key in ("annotations", "model")}, QUEUE).status is None


def test_the_messages_parameters_take_precedence() -> None:
    defaults = MessageDefaults(parameters={"epochs": 1, "batchSize": 8})
    assert parse(GOOD | {"parameters": {"epochs": 5}}, defaults).parameters == {"epochs": 5, "batchSize": 8}


@pytest.mark.parametrize(
    ("plugin", "applied"), [({}, True), ({"plugin": "cats"}, True), ({"plugin_name": "dogs"}, False)]
)
def test_the_queues_parameters_apply_to_its_default_plugin_only(plugin: dict[str, str], applied: bool) -> None:
    defaults = MessageDefaults(plugin="cats", parameters={"epochs": 1})
    assert parse(GOOD | plugin, defaults).parameters == ({"epochs": 1} if applied else {})


@pytest.mark.parametrize("value", ["", ".", "..", "a\nb", "\x7f", "\x85", "x" * 129, 10**200])
@pytest.mark.parametrize("field", ["projectId", "requestId"])
def test_an_id_that_does_not_fit_into_a_url_is_rejected(field: str, value: object) -> None:
    assert str(rejection(VOTT_WEB | {field: value})).startswith(f'Field "{field}" is not a usable id: send 1 to 128')


@pytest.mark.parametrize(("value", "type_"), [(True, "a boolean"), (1.5, "a number"), ([1], "a list")])
def test_an_id_is_a_string_or_an_integer(value: object, type_: str) -> None:
    text = str(rejection(VOTT_WEB | {"requestId": value}))
    assert text == f'Field "requestId" is {type_}; send a string or an integer.'


@pytest.mark.parametrize("value", ["../../etc", "a?b#c", "..%2f..", "{requestId}", "%00", "h\u00e9", "\u202e"])
def test_an_id_stays_in_its_path_segment(value: str) -> None:
    parts = parse(VOTT_WEB | {"projectId": value}, QUEUE).model.split("/")
    assert (len(parts), parts[2], parts[4]) == (5, "store", "7.tgz?sig=KEY")


def test_a_missing_template_names_the_setting() -> None:
    error = rejection(VOTT_WEB, MessageDefaults())
    assert 'Field "model" is missing' in str(error)
    assert "queues[].model" in str(error)


def test_a_template_that_yields_no_url_names_the_setting() -> None:
    text = str(rejection(VOTT_WEB, MessageDefaults(model="store/{projectId}")))
    assert text.startswith("The setting queues[].model, filled in with this message's ids, is not an http(s) or s3 URL")


# --------------------------------------------------------------------------------------------------- --------- rejections


@pytest.mark.parametrize(
    ("body", "reason", "expected"),
    [
        (b"", "NotJSON", "The message is empty."),
        (b"  \n", "NotJSON", "The message is empty."),
        (b'{"a": \xff}', "NotText", "byte 6 is 0xff"),
        (b"\xef\xbb\xbf\xff", "NotText", "byte 3 is 0xff"),
        (b"{'annotations': 1}", "NotJSON", "line 1, column 2"),
        (b"{}{}", "NotJSON", "Extra data at line 1, column 3"),
        (b'{"a": "\0"}', "NotJSON", "Invalid control character"),
        (b"aGVsbG8=", "NotJSON", "not valid JSON, even after base64 decoding: Expecting value at line 1"),
        (b"[1]", "NotAnObject", "a list and not an object"),
        (b"12345678", "NotAnObject", "a number and not an object"),
        (b"null", "NotAnObject", "null and not an object"),
        (base64.b64encode(b'"text"'), "NotAnObject", "a string and not an object"),
        (b"[" * 100_000, "InvalidMessage", "nested too deeply"),
        (b" " * (MAX_BYTES + 1), "MessageTooLarge", f"has {MAX_BYTES + 1} bytes; {MAX_BYTES} are allowed"),
    ],
)
def test_a_body_without_a_json_object_is_rejected(body: bytes, reason: str, expected: str) -> None:
    error = rejection(body)
    assert error.reason == reason
    assert expected in str(error)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", 'Field "annotations" is missing'),
        (b'{"annotations": "https://h/a"}', 'Field "model" is missing'),
        (b'{"url": 5, "model": "https://h/m"}', 'Field "url" is a number; send an http(s) URL'),
        (
            GOOD | {"model": "ftp://h/m"},
            'Field "model" is not an http(s) or s3 URL but ftp:; use https://host/path or s3',
        ),
        (GOOD | {"model": "s3://b/p?sig=S"}, 'Field "model" is not a bucket URL; use s3://bucket/prefix'),
        (GOOD | {"model": "s3://b:9000/p"}, 'Field "model" is not a bucket URL'),
        (GOOD | {"model": "s3:///p"}, 'Field "model" names no host'),
        (GOOD | {"model": 5}, 'Field "model" is a number; send an http(s) or s3 URL'),
        (GOOD | {"annotations": "gs://b/a.csv"}, 'Field "annotations" is not an http(s) or s3 URL but gs:'),
        (
            GOOD | {"annotations": "s3://data/a.csv?sig=S"},
            'Field "annotations" is not a bucket URL; use s3://bucket/prefix',
        ),
        (
            GOOD | {"parameters": {"initialWeights": "//h/w?sig=S"}},
            'Field "parameters" has an "initialWeights" that is not an http(s) URL',
        ),
        (
            GOOD | {"parameters": {"imagesUrl": "https://h/images?sig=S"}},
            'Field "parameters" has an "imagesUrl" that has a query or a #; remove it',
        ),
        *(
            (
                GOOD | {"parameters": parameters},
                f'Field "parameters" has at "{path}" a URL with a query, a fragment or a',
            )
            for parameters, path in [
                ({"datasetUrl": "https://h/p?sig=SECRET"}, "datasetUrl"),
                ({"initial_weights": "https://h/p?sig=SECRET"}, "initial_weights"),
                ({"initialWeights": ["https://h/p?sig=SECRET"]}, "initialWeights[0]"),
                ({"initialWeights": {"url": "https://h/p?sig=SECRET"}}, "initialWeights.url"),
                ({"a": [1, {"b": [["HTTPS://h/p?sig=SECRET"]]}]}, "a[1].b[0][0]"),
                ({"a": {"https://h/p?sig=SECRET": 1}}, "a.(a long or odd name)"),
                ({"https://h/p?sig=SECRET": 1}, "(a long or odd name)"),
                ({"a": "from=https://h/p?sig=SECRET"}, "a"),
                ({"a": "both https://h/p and s3://b/p?X-Amz-Signature=SECRET"}, "a"),
                ({"a": "https://h/p#SECRET"}, "a"),
                ({"a": "https://user:SECRET@h/p"}, "a"),
                ({"initialWeights": "https://h/p?sig=SECRET", "b": "https://h/p?sig=SECRET"}, "b"),
            ]
        ),
        (
            GOOD | {"parameters": {"imagesUrl": "file:///photos"}},
            'Field "parameters" has an "imagesUrl" that is not an http(s) URL but file:; use https://host/path, or a path such as images or .',
        ),
        (GOOD | {"parameters": {"imagesUrl": "C:\\photos"}}, 'has an "imagesUrl" that is not the name of a folder'),
        (GOOD | {"parameters": {"imagesUrl": "//h/images"}}, 'has an "imagesUrl" that is not an http(s) URL'),
        (GOOD | {"parameters": {"imagesUrl": "https://u:SECRET@h/i"}}, 'has an "imagesUrl" that carries a user name'),
        (GOOD | {"parameters": {"imagesUrl": "images#SECRET"}}, 'has an "imagesUrl" that has a query or a #'),
        *(
            (
                GOOD | {field: f"https://h/Cats-#2{ending}"},
                f'Field "{field}" has a "#", at which a URL ends; percent-encode it as %23',
            )
            for field, ending in [
                ("annotations", "-export.csv?sv=1&sig=SECRET"),
                ("model", "?sig=SECRET"),
                ("status", ""),
            ]
        ),
        (GOOD | {"parameters": {"initialWeights": "https://h/#2.tgz"}}, 'has an "initialWeights" that has a "#"'),
        (GOOD | {"model": "https:///m"}, 'Field "model" names no host'),
        (GOOD | {"model": "https://u:p@h/m"}, "user name or password"),
        (GOOD | {"model": "https://h/a b"}, "contains spaces, control characters or backslashes; percent-encode them"),
        (GOOD | {"model": "https://h/a\\b"}, "contains spaces, control characters or backslashes"),
        (GOOD | {"model": "https://h:99999/"}, 'Field "model" is not a URL'),
        (GOOD | {"model": "https://h/" + "a" * 9000}, 'Field "model" is longer than'),
        (GOOD | {"annotations": 5}, 'Field "annotations" is a number; send an http(s) or s3 URL'),
        (GOOD | {"plugin": "../x"}, 'Field "plugin" is not a plugin name: send up to 63 letters'),
        (GOOD | {"plugin_name": True}, 'Field "plugin_name" is a boolean; send a name'),
        (GOOD | {"plugin": "x" * 64}, 'Field "plugin" is not a plugin name: send up to 63'),
        (GOOD | {"parameters": []}, 'Field "parameters" is a list; send an object'),
        (
            GOOD | {"parameters": {"a": "x" * MAX_PARAMETERS_BYTES}},
            f'Field "parameters" is longer than {MAX_PARAMETERS_BYTES}',
        ),
        (
            GOOD | {"parameters": {"a": [{}] * MAX_PARAMETERS_VALUES}},
            f'Field "parameters" has {MAX_PARAMETERS_VALUES + 1} values, with those in its lists and objects;'
            f" {MAX_PARAMETERS_VALUES} are allowed. Put long lists into a file",
        ),
        (DEEPEST.replace("[]", "[[]]").encode(), 'Field "parameters" is nested more than 32 levels deep'),
        (with_raw("model", '"https://h"'), 'Field "model" appears twice'),
        (with_raw("parameters", '{"a": [{"b": 1, "b": 1}]}'), 'Field "parameters.a[0].b" appears twice'),
        (with_raw("parameters", '{"a": [1, 2, {"b": NaN}]}'), 'Field "parameters.a[2].b" is not a finite number'),
        (with_raw("parameters", "[-Infinity]"), 'Field "parameters[0]" is not a finite number'),
        (with_raw("other", "1e999"), 'Field "other" is not a finite number'),
        (with_raw("other", "-1" + "0" * 400), 'Field "other" is not a finite number'),
        (with_raw("other", "1" + "0" * 5000), 'Field "other" is not a finite number'),
        (GOOD | {"parameters": {"a": ["x", "\0"]}}, 'Field "parameters.a[1]" contains a NUL'),
        (GOOD | {"parameters": {"a": "\ud800"}}, 'Field "parameters.a" contains half of a surrogate pair'),
        (GOOD | {"parameters": {"\udfff": 1}}, 'Field "parameters.(a long or odd name)" has a name that contains half'),
        (GOOD | {"a\0": 1}, 'Field "(a long or odd name)" has a name that contains a NUL'),
    ],
)
def test_an_invalid_field_is_named(body: object, expected: str) -> None:
    error = rejection(body, MessageDefaults())
    assert error.reason == "InvalidMessage"
    assert expected in str(error)
    assert "SECRET" not in str(error)


@pytest.mark.parametrize(
    "parameters",
    [
        {"datasetUrl": "https://h/p", "more": ["s3://bucket/p", "see https://h/p, is it there?", "who@example.com"]},
        {"https://h/p": "a#b", "question": "https: why?", "photos": "https://h/@me/p"},
        {"initialWeights": "https://h/p?sig=S"},
    ],
)
def test_any_parameter_may_be_a_plain_url_or_text(parameters: dict[str, Any]) -> None:
    assert parse(GOOD | {"parameters": parameters}).parameters == parameters


@pytest.mark.parametrize(
    "url", [".", "./", "images", "../images/", "/data/images", "my images", "https://h/images", "HTTPS://h/a b"]
)
def test_the_images_url_is_a_url_or_a_path_beside_the_annotations(url: str) -> None:
    parameters = {"imagesUrl": url}
    assert parse(GOOD | {"parameters": parameters}).parameters == parameters
    assert QueueSettings(parameters=parameters).parameters == parameters


def test_all_invalid_fields_are_named_at_once() -> None:
    text = str(rejection({"annotations": 1, "plugin": 2}, MessageDefaults()))
    assert all(f'Field "{field}"' in text for field in ("annotations", "model", "plugin"))


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "ftp://h/m?sig=SECRET", "plugin": "SECRET/.."},
        {"model": "sig=SECRET"},
        {"https://h?sig=SECRET": "\0"},
        {"projectId": "SECRET\n", "model": None},
    ],
)
def test_a_rejection_shows_no_credential(fields: dict[str, Any]) -> None:
    assert "SECRET" not in str(rejection(GOOD | fields))


def test_numbers_are_kept_exactly() -> None:
    values = {"a": 2**70, "b": -0.0, "c": 1.5e308, "d": 0, "e": False}
    assert repr(parse(GOOD | {"parameters": values}).parameters) == repr(values)


# ---------------------------------------------------------------------------------------- the callback of a rejection


def test_a_rejection_has_the_messages_callback() -> None:
    assert rejection({"status": GOOD["status"]}).status_url == GOOD["status"]


def test_a_rejection_of_vott_webs_message_has_the_queues_callback() -> None:
    assert rejection(VOTT_WEB | {"url": 5}).status_url == "https://web/7/status"


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": "file:///etc/passwd"}',
        b'{"status": 5}',
        b'{"status": "https://h/\\ud800"}',
        b'{"status": "https://a/", "status": "https://b/"}',
        b'{"requestId": 1, "requestId": 2}',
        b'{"requestId": ".."}',
        b'{"requestId": "\\udfff"}',
        b"[]",
    ],
)
def test_a_rejection_has_no_callback_in_doubt(body: bytes) -> None:
    assert rejection(body).status_url is None


# ----------------------------------------------------------------------------------------------------------------- digest


def test_the_digest_is_independent_of_how_the_message_is_written() -> None:
    fields = GOOD | {"parameters": {"b": 1, "a": [1, 2]}}
    body = json.dumps(fields).encode()
    rewritten = json.dumps(dict(reversed(fields.items())) | {"ignored": 1}, indent=2).encode()
    assert parse_message(body).digest == parse_message(rewritten).digest == parse_message(base64.b64encode(body)).digest


def test_the_digest_is_independent_of_the_queues_settings() -> None:
    changed = MessageDefaults(model="https://other/{projectId}", parameters={"epochs": 3})
    assert parse(VOTT_WEB, QUEUE).digest == parse(VOTT_WEB, changed).digest


def test_a_message_can_not_set_its_digest() -> None:
    assert parse(GOOD | {"digest": "x"}).digest == parse(GOOD).digest


@pytest.mark.parametrize(
    "change", [{"model": "https://x/"}, {"status": None}, {"plugin": "p"}, {"parameters": {"a": 1}}, {"requestId": 1}]
)
def test_another_message_has_another_digest(change: dict[str, Any]) -> None:
    assert parse(GOOD).digest != parse(GOOD | change).digest


# ---------------------------------------------------------------------------------------------------------------- any body


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.binary(),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from([*GOOD, "plugin", "parameters", "x"]), inner)
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_body_is_accepted_or_rejected(body: bytes) -> None:
    try:
        outcome: TrainMessage | MessageRejectedError = parse_message(body, QUEUE)
    except MessageRejectedError as error:
        outcome = error
    assert isinstance(outcome, TrainMessage) or (outcome.reason and str(outcome))
