"""Decode a queue message's bytes to JSON (RFC 8259), whatever its sender's library put around it.

The same for every queue. `docs/queues.md` lists what is undone: encodings of text, base64, XML's escapes, .NET's serialization,
a JSON string that holds JSON, and these within each other. JSON comes first, so that nothing is undone in what can be read as it is.
"""

import base64
import json
import re
from collections import Counter
from typing import Any

from vott_messaging import reasons
from vott_messaging.errors import MessageRejectedError
from vott_messaging.messages.json_values import MAX_DEPTH, AmbiguousObject, texts
from vott_messaging.messages.xml_text import (
    binary_element_text,
    element_text,
    has_references,
    is_binary_object,
    unescape,
)

MAX_BYTES = 256 * 1024
"""The larger of the services' limits: 256 KiB in Service Bus' standard tier, 64 KiB in Storage Queue."""
MAX_LAYERS = 4
"""How many wrappings are undone. Each leaves less text than there was."""
EXAMPLE = 'Send {"annotations": URL, "model": URL, "status": URL}'
ONE_TRAINING = "Send each training as a message of its own."
BASE64 = re.compile("[A-Za-z0-9+/]+")
URL_SAFE = str.maketrans("-_", "+/")
GZIP = b"\x1f\x8b"
HINTS = [
    (re.compile(r"\s*\{\s*['\\]"), "JSON's quotation marks are double ones, without backslashes."),
    (re.compile("%(25)*7b", re.IGNORECASE), "It is percent-encoded."),
    (re.compile(r"\s*[A-Za-z][\w.-]*=[^=\s]"), "It is a form (application/x-www-form-urlencoded)."),
    (re.compile(r"\s*<"), "It is XML."),
    (re.compile("H4sI"), "It is compressed (gzip in base64)."),
    (re.compile("@.{0,2}(string|base64Binary)"), "It is a .NET string in binary XML that was changed on its way."),
    (
        re.compile(r".*&(quot|#0*34|#[xX]0*22);", re.DOTALL),
        "It has XML's escapes, but not in all places: send it without.",
    ),
]
"""What a text that is not JSON looks like; it is refused."""

_URL = re.compile(r"\s*[a-z][a-z0-9]*://\S*\s*", re.IGNORECASE)

_Layer = tuple[str, str]
"""The text inside a wrapping, and what was done to get it."""


def read_json(body: bytes) -> Any:
    """The JSON value in `body`. Raises MessageRejectedError if there is none."""
    if len(body) > MAX_BYTES:
        text = f"The message has {len(body)} bytes; {MAX_BYTES} are allowed. Put large values into the annotation file."
        raise MessageRejectedError(reasons.MESSAGE_TOO_LARGE, text)
    try:
        return unwrap(_decode(body))
    except RecursionError:
        text = f"The message is nested too deeply; {MAX_DEPTH} levels are allowed. {EXAMPLE}."
        raise MessageRejectedError(reasons.INVALID_MESSAGE, text) from None


def readable(body: str) -> str:
    """What is inside a body's wrappings, as far as they can be undone: for people, and to find credentials in it."""
    text = body
    for _ in range(MAX_LAYERS):
        try:
            layer = _layer(text, load(text))
        except (json.JSONDecodeError, RecursionError):
            layer = _layer_of_text(text)
        if layer is None:
            break
        text = _trim(layer[0])
    return text


def as_text(body: bytes) -> str:
    """A body as text, for people; bytes that are no text are escaped."""
    try:
        return _to_text(body)
    except UnicodeDecodeError:
        return body.decode(errors="backslashreplace")


def _decode(body: bytes) -> str:
    try:
        return _to_text(body)
    except UnicodeDecodeError as error:
        problem = _not_text(body, error)
    raise MessageRejectedError(reasons.NOT_TEXT, f"The message is {problem}. {EXAMPLE} as JSON in UTF-8.") from None


def _to_text(body: bytes) -> str:
    """UTF-8, or UTF-16 or UTF-32, which a byte order mark or the zeros of the first character tell. Raises UnicodeDecodeError."""
    body = binary_element_text(body) or body
    return _trim(body.decode(json.detect_encoding(body)))


def _trim(text: str) -> str:
    return text.lstrip("\ufeff").rstrip("\0")


def _not_text(body: bytes, error: UnicodeDecodeError) -> str:
    if is_binary_object(body):
        return "an object in .NET's binary XML (DataContractSerializer), not text"
    if body.startswith(GZIP):
        return "compressed (gzip), not text"
    position = len(body) - len(error.object) + error.start
    name = error.encoding[:6].upper().removesuffix("-")
    return f"not {name} text: byte {position} is 0x{body[position]:02x}"


def unwrap(text: str) -> Any:
    """The JSON value in a text and its wrappings. Raises MessageRejectedError if there is none, and RecursionError."""
    done: list[str] = []
    while True:
        text = _trim(text)
        try:
            value = load(text)
        except json.JSONDecodeError as error:
            layer = _layer_of_text(text)
            if layer is None:
                raise _not_json(error, text, done) from None
        else:
            layer = _layer(text, value)
            if layer is None:
                return value
        if len(done) == MAX_LAYERS:
            text = f"The message is wrapped more than {MAX_LAYERS} times ({', '.join(done)}). {EXAMPLE}."
            raise MessageRejectedError(reasons.NOT_JSON, text)
        text = layer[0]
        done.append(layer[1])


def _layer(text: str, value: Any) -> _Layer | None:
    """What is inside a JSON text: JSON again in a string, or URLs that are escaped because the whole text is."""
    if isinstance(value, str):
        return value, "reading the JSON string"
    # An encoder that keeps quotes, such as Python's, leaves valid JSON. Its URLs would be wrong without a word.
    if has_references(text) and any(_URL.fullmatch(item) and has_references(item) for item, _ in texts(value)):
        plain = unescape(text)
        if plain is not None and _is_json(plain):
            return plain, "undoing XML's escapes"
    return None


def _layer_of_text(text: str) -> _Layer | None:
    """What is inside a text that is not JSON."""
    if (plain := _from_base64(text)) is not None:
        return plain, "base64 decoding"
    if (plain := element_text(text)) is not None:
        return plain, "reading .NET's XML element"
    if (plain := unescape(text)) is not None:
        return plain, "undoing XML's escapes"
    return None


def _from_base64(text: str) -> str | None:
    """Decode base64: also url-safe, in lines (RFC 2045) or without padding. None unless it is base64 of a text."""
    compact = "".join(text.split()).rstrip("=").translate(URL_SAFE)
    if len(compact) % 4 == 1 or not BASE64.fullmatch(compact):
        return None
    try:
        return _to_text(base64.b64decode(compact + "=" * (-len(compact) % 4))) or None
    except UnicodeDecodeError:
        return None


def load(text: str) -> Any:
    """Parse JSON; objects with duplicate names become AmbiguousObject. Raises JSONDecodeError and RecursionError."""
    return json.loads(text, object_pairs_hook=_object, parse_int=_integer)


def _is_json(text: str) -> bool:
    try:
        load(text)
    except json.JSONDecodeError:
        return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    ambiguous = AmbiguousObject(value)
    ambiguous.repeated = frozenset(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return ambiguous


def _integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # more than the 4,300 digits that Python converts; infinite as a float, and so refused later
        return float(digits)


def _not_json(error: json.JSONDecodeError, text: str, done: list[str]) -> MessageRejectedError:
    if "reading the JSON string" in done:
        return MessageRejectedError(
            reasons.NOT_AN_OBJECT, f"The message is JSON, but a string and not an object. {EXAMPLE}."
        )
    if not text.strip():
        return MessageRejectedError(reasons.NOT_JSON, f"The message is empty. {EXAMPLE}.")
    note = f", even after {' and '.join(done)}" if done else ""
    problem = f"not valid JSON{note}: {error.msg} at line {error.lineno}, column {error.colno}"
    return MessageRejectedError(reasons.NOT_JSON, f"The message is {problem}.{_hint(error, text)} {EXAMPLE}.")


def _hint(error: json.JSONDecodeError, text: str) -> str:
    if error.msg == "Extra data" and text[error.pos] == "{":
        return f" {ONE_TRAINING}"
    return next((f" {hint}" for pattern, hint in HINTS if pattern.match(text)), "")
