"""Messages as client libraries, serializers and forms send them: each form is read as the plain message, or refused by name."""

import base64
import gzip
import html
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

import pytest

from vott_messaging.errors import MessageRejectedError
from vott_messaging.messages.decoding import MAX_LAYERS, as_text, readable
from vott_messaging.messages.message import TrainMessage, parse_message
from vott_messaging.messages.queue_defaults import NO_DEFAULTS, MessageDefaults

FIELDS: dict[str, Any] = {
    "annotations": "https://host/\u00e9t\u00e9.csv?sv=1&sig=a%2Bb",
    "model": "https://store/models?sv=1&sp=racw&sig=c%3D",
    "status": "https://web/7?a=1&b=2",
    "plugin": "detection",
    "parameters": {"epochs": 3, "note": '<it\'s> "new" & \u732b'},
}
JSON = json.dumps(FIELDS, ensure_ascii=False)
MESSAGE = parse_message(JSON.encode())
WEB = {"projectId": "p 1", "requestId": 7, "url": FIELDS["annotations"]}
QUEUE = MessageDefaults(model="https://store/{projectId}/{requestId}.tgz", callback="https://web/{requestId}")

NAMESPACE = "http://schemas.microsoft.com/2003/10/Serialization/"
Encode = Callable[[str], str | bytes]


def to_base64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def in_lines(text: str, end: str = "\n", length: int = 76) -> str:
    encoded = to_base64(text)
    return "".join(encoded[at : at + length] + end for at in range(0, len(encoded), length))


def url_safe(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def node_sdk(text: str) -> str:
    """As Node's xmlbuilder escapes a text."""
    return escape(text, {'"': "&quot;", "\r": "&#xD;"})


def numbered(text: str, form: str) -> str:
    return "".join(form.format(ord(char)) if char in "&<>\"'" or not char.isascii() else char for char in text)


def binary_xml(content: bytes, records: tuple[int, ...] = (0x9B,), element: bytes = b"string") -> bytes:
    """As .NET's DataContractSerializer writes a text or bytes in binary XML; several records share the content."""
    head = b"@" + bytes([len(element)]) + element + b"\x08" + bytes([len(NAMESPACE)]) + NAMESPACE.encode()
    share = -(-len(content) // len(records))
    parts = []
    for number, kind in enumerate(records):
        part = content[number * share : (number + 1) * share]
        size = {0x98: 1, 0x9A: 2, 0x9C: 4, 0x9E: 1, 0xA0: 2, 0xA2: 4, 0xB6: 1, 0xB8: 2, 0xBA: 4}[kind & ~1]
        parts.append(bytes([kind]) + len(part).to_bytes(size, "little") + part)
    return head + b"".join(parts) + (b"" if records[-1] & 1 else b"\x01")


def xml_element(text: str, name: str = "string") -> str:
    return f'<{name} xmlns="{NAMESPACE}">{escape(text)}</{name}>'


ENCODINGS: dict[str, Encode] = {
    # base64
    "base64": to_base64,
    "base64 in lines": in_lines,
    "base64 in lines with CR": lambda text: in_lines(text, "\r\n"),
    "base64 in lines of 64, indented": lambda text: in_lines(text, "\n\t  ", 64),
    "base64 in one JSON string": lambda text: json.dumps(to_base64(text)),
    "base64 in lines in a JSON string": lambda text: json.dumps(in_lines(text, "\r\n")),
    "url-safe base64": url_safe,
    "url-safe base64 without padding": lambda text: url_safe(text).rstrip("="),
    "base64 without padding": lambda text: to_base64(text).rstrip("="),
    "base64 twice": lambda text: to_base64(to_base64(text)),
    "base64 three times, in lines": lambda text: in_lines(in_lines(in_lines(text))),
    "base64 of UTF-16": lambda text: to_base64(text.encode("utf-16")),
    "base64 of UTF-16 without mark": lambda text: to_base64(text.encode("utf-16-le")),
    "base64 in UTF-16": lambda text: to_base64(text).encode("utf-16-le"),
    # encodings of text
    "UTF-8 with mark": lambda text: text.encode("utf-8-sig"),
    "UTF-8 with two marks": lambda text: ("\ufeff" + text).encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 big-endian": lambda text: ("\ufeff" + text).encode("utf-16-be"),
    "UTF-16 little-endian without mark": lambda text: text.encode("utf-16-le"),
    "UTF-16 big-endian without mark": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "UTF-32 big-endian without mark": lambda text: text.encode("utf-32-be"),
    "UTF-8 with the NUL that ends a C string": lambda text: text.encode() + b"\0",
    # JSON in a JSON string
    "a JSON string": json.dumps,
    "a JSON string twice": lambda text: json.dumps(json.dumps(text)),
    "a JSON string in base64": lambda text: to_base64(json.dumps(text)),
    "a JSON string with a byte order mark": lambda text: json.dumps("\ufeff" + text + "\0"),
    # XML
    "XML, as Node's SDK escapes": node_sdk,
    "XML, quotes kept, as Python's SDK escapes": escape,
    "XML twice, as Python's SDK escapes": lambda text: escape(escape(text)),
    "XML with all five entities": lambda text: escape(text, {'"': "&quot;", "'": "&apos;"}),
    "XML as HTML escapes": html.escape,
    "XML with decimal references": lambda text: numbered(text, "&#{};"),
    "XML with padded references": lambda text: numbered(text, "&#{:05};"),
    "XML with hexadecimal references": lambda text: numbered(text, "&#x{:x};"),
    "XML with upper-case references": lambda text: numbered(text, "&#X{:X};"),
    "XML with references of many digits": lambda text: numbered(text, "&#x{:08X};"),
    "XML with decimal references of many digits": lambda text: numbered(text, "&#{:09};"),
    "XML, quotes kept, with decimal references": lambda text: text.replace("&", "&#38;").replace("<", "&#60;"),
    "XML, quotes kept, with hexadecimal references": lambda text: text.replace("&", "&#x26;").replace("<", "&#x3c;"),
    "XML, quotes kept, escaped three times": lambda text: escape(escape(escape(text))),
    "XML with a byte order mark": lambda text: "&#xFEFF;" + node_sdk(text),
    "XML twice": lambda text: node_sdk(node_sdk(text)),
    "XML of indented JSON": lambda text: node_sdk(json.dumps(json.loads(text), indent=2).replace("\n", "\r\n")),
    "XML of base64 in lines": lambda text: node_sdk(in_lines(text, "\r\n")),
    "base64 of XML": lambda text: to_base64(node_sdk(text)),
    "XML of a JSON string": lambda text: node_sdk(json.dumps(text)),
    # .NET
    ".NET's string": lambda text: binary_xml(text.encode()),
    ".NET's string, its end apart": lambda text: binary_xml(text.encode(), (0x9A,)),
    ".NET's string in pieces": lambda text: binary_xml(text.encode(), (0x98, 0x98, 0x98, 0x99)),
    ".NET's long string": lambda text: binary_xml(text.encode(), (0x9D,)),
    ".NET's string in UTF-16": lambda text: binary_xml(text.encode("utf-16-le"), (0xB9,)),
    ".NET's bytes": lambda text: binary_xml(text.encode(), (0xA1,), b"base64Binary"),
    ".NET's bytes of UTF-16": lambda text: binary_xml(text.encode("utf-16"), (0xA2,), b"base64Binary"),
    ".NET's string in base64": lambda text: to_base64(binary_xml(text.encode())),
    ".NET's string with base64": lambda text: binary_xml(to_base64(text).encode()),
    ".NET's string as XML": xml_element,
    ".NET's string as XML, declared": lambda text: f'<?xml version="1.0" encoding="utf-8"?>\n{xml_element(text)}\n',
    ".NET's bytes as XML": lambda text: xml_element(to_base64(text), "base64Binary"),
    ".NET's string as XML without namespace": lambda text: f'<?xml version="1.0"?><string>{escape(text)}</string>',
    ".NET's string without its end": lambda text: binary_xml(text.encode(), (0x9A,))[:-1],
    ".NET's string as XML, escaped again": lambda text: escape(xml_element(text)),
}


def parse(body: str | bytes, defaults: MessageDefaults = NO_DEFAULTS) -> TrainMessage:
    return parse_message(body.encode() if isinstance(body, str) else body, defaults)


def rejection(body: str | bytes, defaults: MessageDefaults = QUEUE) -> MessageRejectedError:
    with pytest.raises(MessageRejectedError) as caught:
        parse(body, defaults)
    return caught.value


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_an_encoded_message_is_read_as_the_plain_one(encode: Encode) -> None:
    assert parse(encode(JSON)) == MESSAGE
    ascii_only = json.dumps(FIELDS)  # other lengths, and so other padding
    assert parse(encode(ascii_only)) == MESSAGE
    assert parse(encode(json.dumps(WEB)), QUEUE) == parse(json.dumps(WEB), QUEUE)


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_the_queue_command_shows_the_plain_message(encode: Encode) -> None:
    body = encode(JSON)
    assert json.loads(readable(as_text(body.encode() if isinstance(body, str) else body))) == FIELDS


# --------------------------------------------------------------------------------------- what is not undone, or refused


@pytest.mark.parametrize(
    "note",
    ["a &lt; b", "&quot;", "&amp;", "&amp;lt;", "R&D &amp; more", "eyJhIjoxfQ==", "https://host/a", '{"epochs": 3}'],
)
def test_texts_in_a_plain_message_are_left_as_they_are(note: str) -> None:
    assert parse(json.dumps(FIELDS | {"parameters": {"note": note}})).parameters == {"note": note}


@pytest.mark.parametrize("note", ["a &lt; b", "&#65;", "<b>"])
def test_escapes_are_undone_as_often_as_they_were_made(note: str) -> None:
    body = node_sdk(json.dumps(FIELDS | {"parameters": {"note": note}}))
    assert parse(body).parameters == {"note": note}


@pytest.mark.parametrize("escape_", ["&apos;", "&#39;", "&#x27;"])
def test_a_url_without_ampersands_shows_that_all_is_escaped(escape_: str) -> None:
    fields = {"annotations": "https://host/it's.csv", "model": "https://store/m", "parameters": {"note": "it's"}}
    assert parse(json.dumps(fields).replace("'", escape_)) == parse(json.dumps(fields))


def test_a_text_that_holds_an_escaped_url_shows_nothing() -> None:
    fields = {"annotations": "https://host/a.csv", "model": "https://store/m"}
    note = {"note": "see https://host/?a&amp;b"}
    assert parse(json.dumps(fields | {"x": note, "parameters": {"note": "R&amp;D"}})).parameters == {"note": "R&amp;D"}


@pytest.mark.parametrize("ampersand", ["&amp;", "&#38;", "&#038;", "&#x26;", "&#X0026;"])
@pytest.mark.parametrize("field", ["annotations", "model", "status"])
def test_a_url_that_alone_is_escaped_is_refused(field: str, ampersand: str) -> None:
    error = rejection(json.dumps(FIELDS | {field: f"https://host/a?sv=1{ampersand}sig=SECRET"}))
    assert str(error).startswith(f'Field "{field}" contains "{ampersand}", XML\'s escape of "&"')
    assert "SECRET" not in str(error)
    assert error.status_url == (None if field == "status" else FIELDS["status"])


def wrapped(times: int) -> bytes:
    body = JSON.encode()
    for _ in range(times):
        body = base64.b64encode(body)
    return body


def test_a_message_is_unwrapped_a_few_times_only() -> None:
    assert parse(wrapped(MAX_LAYERS)) == MESSAGE
    error = rejection(wrapped(MAX_LAYERS + 1))
    assert (error.reason, f"wrapped more than {MAX_LAYERS} times" in str(error)) == ("NotJSON", True)


@pytest.mark.parametrize(
    ("body", "reason", "expected"),
    [
        (to_base64(json.dumps(FIELDS))[:-6], "NotJSON", "even after base64 decoding"),
        (to_base64(JSON)[:5], "NotJSON", "not valid JSON: Expecting value at line 1, column 1"),
        (to_base64(JSON) + to_base64(JSON) + "=", "NotJSON", "not valid JSON"),
        (JSON.encode("latin-1", "replace"), "NotText", "not UTF-8 text: byte"),
        (JSON.encode("utf-16")[:-1], "NotText", "not UTF-16 text: byte"),
        (JSON.encode("utf-16-be")[:-4], "NotJSON", "not valid JSON: Expecting ',' delimiter"),
        (node_sdk(JSON).replace("&amp;", "&"), "NotJSON", "has XML's escapes, but not in all places"),
        (node_sdk(JSON).replace("&quot;", "&laquo;"), "NotJSON", "not valid JSON"),
        (node_sdk(JSON)[:-1], "NotJSON", "even after undoing XML's escapes"),
        ("&#0;&#xD800;&#x110000;", "NotJSON", "not valid JSON"),
        (json.dumps("hello"), "NotAnObject", "a string and not an object"),
        (json.dumps(to_base64("hello")), "NotAnObject", "a string and not an object"),
        (json.dumps("12"), "NotAnObject", "a number and not an object"),
        ('""', "NotAnObject", "a string and not an object"),
        (
            binary_xml(JSON.encode())[:-2],
            "NotText",
            "an object in .NET's binary XML (DataContractSerializer), not text",
        ),
        (binary_xml(JSON.encode(), (0x98, 0x98, 0x98))[:-40], "NotText", "an object in .NET's binary XML"),
        (
            binary_xml(JSON.encode()).decode(errors="replace"),
            "NotJSON",
            "It is a .NET string in binary XML that was changed",
        ),
        ("@string3" + NAMESPACE + JSON, "NotJSON", "It is a .NET string in binary XML that was changed"),
        (b"@\x0cTrainMessage\x08\x20http://schemas.example/2004/07/App\x99\x01\xff", "NotText", "an object in .NET's"),
        (f"<QueueMessage>{escape(JSON)}</QueueMessage>", "NotJSON", "It is XML. Send {"),
        (f"<message><model>{escape(FIELDS['model'])}</model></message>", "NotJSON", "It is XML. Send {"),
        (urlencode({name: FIELDS[name] for name in ("annotations", "model")}), "NotJSON", "It is a form ("),
        (to_base64("annotations=https://h/a.csv"), "NotJSON", "even after base64 decoding: Expecting value at line 1"),
        (repr(FIELDS), "NotJSON", "JSON's quotation marks are double ones"),
        (JSON.replace('"', '\\"'), "NotJSON", "JSON's quotation marks are double ones, without backslashes"),
        (quote(JSON), "NotJSON", "It is percent-encoded"),
        (quote(quote(JSON)), "NotJSON", "It is percent-encoded"),
        (gzip.compress(JSON.encode(), mtime=0), "NotText", "The message is compressed (gzip), not text"),
        (to_base64(gzip.compress(JSON.encode(), mtime=0)), "NotJSON", "It is compressed (gzip in base64)"),
        (f"{JSON}\n{JSON}\n", "NotJSON", "Extra data at line 2, column 1. Send each training as a message of its own."),
        (FIELDS["annotations"], "NotJSON", "not valid JSON: Expecting value at line 1, column 1. Send {"),
        ("train the cats, please", "NotJSON", "not valid JSON: Expecting value at line 1, column 1. Send {"),
        (f"<!DOCTYPE x [<!ENTITY a '{{'>]>{xml_element(JSON)}", "NotJSON", "not valid JSON"),
    ],
)
def test_what_only_looks_encoded_is_refused(body: str | bytes, reason: str, expected: str) -> None:
    error = rejection(body)
    assert error.reason == reason
    assert expected in str(error)


# ---------------------------------------------------------------------------------------------------- a list of messages


def test_a_list_is_refused_with_its_reason() -> None:
    error = rejection(json.dumps([FIELDS]))
    assert (error.reason, error.status_url) == ("NotAnObject", FIELDS["status"])
    assert "a list and not an object. Send each training as a message of its own." in str(error)


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        (["https://web/1", "https://web/1"], "https://web/1"),
        (["https://web/1", "https://web/2"], None),
        (["https://web/1", ""], None),
        (["file:///etc/passwd"], None),
        ([], None),
    ],
)
def test_the_callback_of_a_list_is_told_if_there_is_one(statuses: list[str], told: str | None) -> None:
    messages: list[Any] = [FIELDS | {"Status": status, "status": None} for status in statuses]
    assert rejection(json.dumps([*messages, 5, "x"]), NO_DEFAULTS).status_url == told


# ---------------------------------------------------------------------------------------- a message within another object

CLOUD_EVENT = {
    "specversion": "1.0",
    "type": "train",
    "source": "/web",
    "id": "1",
    "datacontenttype": "application/json",
}
GRID_EVENT = {"topic": "/t", "subject": "cats", "eventType": "train", "id": "1", "eventTime": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (CLOUD_EVENT | {"data": FIELDS}, "data"),
        (CLOUD_EVENT | {"data": JSON}, "data"),
        (CLOUD_EVENT | {"data_base64": to_base64(JSON)}, "data_base64"),
        (GRID_EVENT | {"data": FIELDS, "dataVersion": "1"}, "data"),
        ({"messageType": ["urn:message:App:Train"], "message": FIELDS}, "message"),
        ({"Body": {name.title(): value for name, value in FIELDS.items()}}, "Body"),
        ({"https://h?sig=SECRET": FIELDS}, "(a long or odd name)"),
        ({"annotations": "", "training": FIELDS}, "training"),
    ],
)
def test_a_message_within_another_object_is_refused_by_its_place(body: dict[str, Any], field: str) -> None:
    error = rejection(json.dumps(body))
    assert (error.reason, error.status_url) == ("InvalidMessage", FIELDS["status"])
    assert str(error) == f'The message is in the field "{field}" of another object: send it alone, as plain JSON.'


@pytest.mark.parametrize("body", [{"first": FIELDS, "second": FIELDS}, {"data": {"a": FIELDS}}, {"data": [FIELDS]}])
def test_no_one_message_within_another_object(body: dict[str, Any]) -> None:
    error = rejection(json.dumps(body), NO_DEFAULTS)
    assert str(error).startswith('Field "annotations" is missing')
    assert error.status_url is None


def test_a_message_may_hold_another_one() -> None:
    assert parse(json.dumps(FIELDS | {"original": FIELDS | {"status": "https://else/"}})) == MESSAGE


# ------------------------------------------------------------------------------------------- other names, and empty fields


@pytest.mark.parametrize(
    "rename", [str.title, str.upper, str.capitalize, str.swapcase], ids=["title", "upper", "capital", "swapped"]
)
def test_names_may_be_in_another_case(rename: Callable[[str], str]) -> None:
    assert parse(json.dumps({rename(name): value for name, value in FIELDS.items()})) == MESSAGE
    web = {rename(name): value for name, value in WEB.items()}
    assert parse(json.dumps(web), QUEUE) == parse(json.dumps(WEB), QUEUE)


@pytest.mark.parametrize(
    "name", ["plugin_name", "pluginName", "PluginName", "PLUGIN_NAME", "plugin-name", "pluginname"]
)
def test_the_words_of_plugin_name_may_be_divided_otherwise(name: str) -> None:
    fields = {key: value for key, value in FIELDS.items() if key != "plugin"} | {name: "detection"}
    assert parse(json.dumps(fields)).plugin == "detection"


@pytest.mark.parametrize(
    ("project", "request_"),
    [
        ("project_id", "request_id"),
        ("ProjectID", "RequestID"),
        ("PROJECT_ID", "REQUEST_ID"),
        ("project-id", "requestid"),
    ],
)
def test_the_words_of_the_ids_may_be_divided_otherwise(project: str, request_: str) -> None:
    fields = {project: WEB["projectId"], request_: WEB["requestId"], "URL": WEB["url"]}
    assert parse(json.dumps(fields), QUEUE) == parse(json.dumps(WEB), QUEUE)


@pytest.mark.parametrize("name", ["_status", "status_", "sta_tus", "Stat\u0075\u0073e", "\u017ftatus", "my_status"])
def test_other_names_are_other_fields(name: str) -> None:
    assert parse(json.dumps(FIELDS | {name: "https://else/"})) == MESSAGE


@pytest.mark.parametrize(
    ("more", "field", "told"),
    [
        ({"Annotations": "https://else/"}, "annotations", FIELDS["status"]),
        ({"MODEL": "https://else/"}, "model", FIELDS["status"]),
        ({"Plugin": "classification"}, "plugin", FIELDS["status"]),
        ({"Parameters": {"epochs": 4}}, "parameters", FIELDS["status"]),
        ({"pluginName": "a", "plugin_name": "b"}, "plugin_name", FIELDS["status"]),
        ({"project_id": 1, "projectId": 2}, "projectId", FIELDS["status"]),
        ({"Status": "https://else/"}, "status", None),
    ],
)
def test_two_spellings_with_different_values_are_refused(more: dict[str, Any], field: str, told: str | None) -> None:
    error = rejection(json.dumps(FIELDS | more))
    assert (error.reason, error.status_url) == ("InvalidMessage", told)
    assert str(error).startswith(f'Field "{field}" appears twice with different values, as "')
    assert all(f'"{name}"' in str(error) for name in more)


def test_blanks_around_names_and_values_do_not_count() -> None:
    padded = {
        f" {name}\t": f"\ufeff\u00a0{value}\r\n" if isinstance(value, str) else value for name, value in FIELDS.items()
    }
    assert parse(json.dumps(padded)) == MESSAGE
    assert parse(json.dumps(FIELDS | padded)) == MESSAGE
    assert rejection(json.dumps({"status": f" {FIELDS['status']}\n"})).status_url == FIELDS["status"]


def test_blanks_around_an_id_are_part_of_it() -> None:
    assert parse(json.dumps(WEB | {"projectId": " p "}), QUEUE).model == "https://store/%20p%20/7.tgz"


@pytest.mark.parametrize(("first", "second"), [({"a": 1}, {"a": True}), ({"a": [1, 2]}, {"a": [2, 1]}), ("{}", [])])
def test_values_of_two_spellings_are_compared_as_json(first: object, second: object) -> None:
    error = rejection(json.dumps(FIELDS | {"parameters": first, "Parameters": second}))
    assert 'Field "parameters" appears twice with different values' in str(error)


def test_two_spellings_with_one_value_are_one_field() -> None:
    assert parse(json.dumps(FIELDS | {name.upper(): value for name, value in FIELDS.items()})) == MESSAGE


@pytest.mark.parametrize(
    "body", ['{"Status": "https://a/", "Status": "https://b/"}', '{"status": "https://a/", "STATUS": 5}']
)
def test_a_callback_with_two_values_is_not_told(body: str) -> None:
    assert rejection(body).status_url is None


@pytest.mark.parametrize("empty", [None, "", "  \t"])
@pytest.mark.parametrize("name", ["status", "plugin", "plugin_name", "parameters", "Status", "PluginName", "url"])
def test_an_empty_field_is_one_that_is_absent(name: str, empty: str | None) -> None:
    required = {key: FIELDS[key] for key in ("annotations", "model")}
    assert parse(json.dumps(required | {name: empty})) == parse(json.dumps(required))


@pytest.mark.parametrize("name", ["imagesUrl", "initialWeights"])
def test_an_empty_url_in_the_parameters_is_no_invalid_one(name: str) -> None:
    assert parse(json.dumps(FIELDS | {"parameters": {name: " "}})).parameters == {name: " "}


@pytest.mark.parametrize("empty", [None, ""])
def test_the_queues_settings_stand_for_an_empty_field(empty: str | None) -> None:
    message = parse(json.dumps(WEB | {"annotations": empty, "model": empty, "status": empty}), QUEUE)
    assert message == parse(json.dumps(WEB), QUEUE)


def test_an_empty_spelling_does_not_count_beside_one_with_a_value() -> None:
    assert parse(json.dumps({name.title(): "" for name in FIELDS} | FIELDS)) == MESSAGE


@pytest.mark.parametrize("field", ["annotations", "model"])
def test_an_empty_required_field_is_missing(field: str) -> None:
    error = rejection(json.dumps(FIELDS | {field: ""}), NO_DEFAULTS)
    assert str(error).startswith(f'Field "{field}" is missing')
    assert error.status_url == FIELDS["status"]


# ----------------------------------------------------------------------------------------------- parameters in a text


def test_parameters_may_be_json_in_a_text() -> None:
    text = json.dumps(FIELDS["parameters"])
    assert parse(json.dumps(FIELDS | {"parameters": text})) == MESSAGE
    assert parse(json.dumps(FIELDS | {"Parameters": text})) == MESSAGE


@pytest.mark.parametrize("wrap", [json.dumps, to_base64, node_sdk, lambda text: f"\ufeff\n{text}\n"])
def test_parameters_in_a_text_may_be_wrapped_as_the_message_may(wrap: Callable[[str], str]) -> None:
    assert parse(json.dumps(FIELDS | {"parameters": wrap(json.dumps(FIELDS["parameters"]))})) == MESSAGE


@pytest.mark.parametrize("text", ["null", " {} ", '"null"'])
def test_empty_parameters_in_a_text_are_absent(text: str) -> None:
    assert parse(json.dumps(FIELDS | {"parameters": text})).parameters == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1]", 'Field "parameters" is a string; send an object'),
        ("epochs=3", 'Field "parameters" is a string; send an object'),
        ("[" * 5000, 'Field "parameters" is a string; send an object'),
        ('{"a": 1, "a": 2}', 'Field "parameters.a" appears twice'),
        ('{"a": NaN}', 'Field "parameters.a" is not a finite number'),
        ('{"a": "\\ud800"}', 'Field "parameters.a" contains half of a surrogate pair'),
        ('{"a": ' * 40 + "1" + "}" * 40, 'Field "parameters" is nested more than 32 levels deep'),
        ('{"a": "https://h/p?sig=SECRET"}', 'Field "parameters" has at "a" a URL with a query'),
    ],
)
def test_parameters_in_a_text_are_checked_as_others_are(text: str, expected: str) -> None:
    error = rejection(json.dumps(FIELDS | {"parameters": text}))
    assert expected in str(error)
    assert "SECRET" not in str(error)
