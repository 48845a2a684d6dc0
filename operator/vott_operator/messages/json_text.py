"""From a message's bytes to one JSON object that every reader understands alike (RFC 8259, and RFC 7493 for what is refused).

What is refused beside bad syntax: a field that stands twice, numbers beyond a double, NUL and halves of surrogate pairs in
texts. Readers disagree about them, and the cluster can't store some of them.
"""

import base64
import binascii
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from vott_operator.api import constants as c
from vott_operator.errors import MessageRejectedError

MAX_BYTES = 256 * 1024
"""The larger of the services' limits: Service Bus takes 256 KiB in its standard tier, Storage Queue 64 KiB."""
MAX_DEPTH = 32
EXAMPLE = 'Send {"annotations": URL, "model": URL, "status": URL}'
TYPE_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class FieldError(Exception):
    """A field can't be used; the text is a sentence (without its full stop) for the person who sent it."""


class AmbiguousObject(dict[str, Any]):
    """A JSON object in which some fields stand more than once; it holds the last of each."""

    repeated: frozenset[str] = frozenset()


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in UTF-8, or that in base64. Raises MessageRejectedError when it is none."""
    try:
        value = _value(_text(body))
    except RecursionError:
        text = f"The message is nested too deeply to be read; {MAX_DEPTH} levels are allowed. {EXAMPLE}."
        raise MessageRejectedError(c.INVALID_MESSAGE, text) from None
    if not isinstance(value, dict):
        text = f"The message is JSON, but {type_name(value)} and not an object. {EXAMPLE}."
        raise MessageRejectedError(c.NOT_AN_OBJECT, text)
    return value


def type_name(value: object) -> str:
    """What JSON calls it."""
    return TYPE_NAMES.get(type(value), "null")


def _text(body: bytes) -> str:
    if len(body) > MAX_BYTES:
        text = (
            f"The message has {len(body)} bytes; {MAX_BYTES} are allowed. Put what is large into the annotation file."
        )
        raise MessageRejectedError(c.MESSAGE_TOO_LARGE, text)
    mark = len(BYTE_ORDER_MARK) if body.startswith(BYTE_ORDER_MARK) else 0
    try:
        return body[mark:].decode()
    except UnicodeDecodeError as error:
        at = mark + error.start
        text = f"The message is not UTF-8 text: byte {at} is 0x{body[at]:02x}. {EXAMPLE} as JSON in UTF-8."
        raise MessageRejectedError(c.NOT_TEXT, text) from None


def _value(text: str) -> Any:
    # Decoding base64 first would be wrong: some JSON texts are valid base64 too.
    try:
        return _load(text)
    except json.JSONDecodeError as error:
        decoded = _base64_text(text)
        if decoded is None:
            raise _not_json(error, text) from None
    try:
        return _load(decoded)
    except json.JSONDecodeError as error:
        raise _not_json(error, decoded, " (nor is it within its base64)") from None


def _load(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object, parse_int=_integer)


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
    except ValueError:  # Python reads 4,300 digits; as a float such a number is infinite, and refused as that
        return float(digits)


def _base64_text(text: str) -> str | None:
    try:
        return base64.b64decode(text.strip(), validate=True).decode("utf-8-sig") or None
    except (binascii.Error, ValueError):
        return None


def _not_json(error: json.JSONDecodeError, text: str, note: str = "") -> MessageRejectedError:
    where = f"not valid JSON{note}: {error.msg} at line {error.lineno}, column {error.colno}"
    return MessageRejectedError(c.NOT_JSON, f"The message is {where if text.strip() else 'empty'}. {EXAMPLE}.")


# --------------------------------------------------------------------------------------------- what no field may hold

_Path = tuple[Any, ...]
"""(path of the container, name or index), () at the root: linked, so that only a complaint makes a text of it."""


def check_values(root: dict[str, Any]) -> None:
    """Look at everything, fields that nobody uses included. Raises FieldError, which names the field by its path."""
    level: list[tuple[object, _Path]] = [(root, ())]
    for _ in range(MAX_DEPTH + 1):  # the message itself, and that many levels from each field on
        for value, path in level:
            _check(value, path)
        level = [child for value, path in level for child in _children(value, path)]
    if level:
        raise FieldError(f"{_field(_top(level[0][1]))} is nested more than {MAX_DEPTH} deep; send it flatter")


def _check(value: object, path: _Path) -> None:
    if isinstance(value, str):
        if flaw := _flaw(value):
            raise FieldError(f"{_field(path)} contains {flaw}")
    elif isinstance(value, dict):
        _check_names(value, path)
    elif isinstance(value, int | float) and not abs(value) <= sys.float_info.max:
        text = "is no finite number (NaN, infinite or beyond 1.8e308); send a smaller one or leave it out"
        raise FieldError(f"{_field(path)} {text}")


def _check_names(value: dict[str, Any], path: _Path) -> None:
    if isinstance(value, AmbiguousObject):
        raise FieldError(f"{_field((path, min(value.repeated)))} appears twice; send it once")
    for name in value:
        if flaw := _flaw(name):
            raise FieldError(f"{_field((path, name))} contains in its name {flaw}")


def _flaw(text: str) -> str:
    if "\0" in text:
        return "a NUL character; remove it"
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        return "half of a surrogate pair (\\ud800 to \\udfff); send whole characters"
    return ""


def texts(root: object) -> Iterator[tuple[str, str]]:
    """Every text within a value, names of fields too, with the path to it as it may be shown."""
    level: list[tuple[object, _Path]] = [(root, ())]
    while level:
        for value, path in level:
            if isinstance(value, str):
                yield value, _shown_path(path)
            elif isinstance(value, dict):
                yield from ((name, _shown_path((path, name))) for name in value)
        level = [child for value, path in level for child in _children(value, path)]


def _children(value: object, path: _Path) -> list[tuple[object, _Path]]:
    if isinstance(value, dict):
        return [(item, (path, name)) for name, item in value.items()]
    return [(item, (path, index)) for index, item in enumerate(value)] if isinstance(value, list) else []


def _top(path: _Path) -> _Path:
    while path[0]:
        path = path[0]
    return path


def _field(path: _Path) -> str:
    return f'Field "{_shown_path(path)}"'


def _shown_path(path: _Path) -> str:
    parts: list[str] = []
    while path:
        path, part = path
        parts.append(f"[{part}]" if isinstance(part, int) else f".{_shown(part)}")
    return "".join(reversed(parts)).removeprefix(".")


def _shown(name: str) -> str:
    """A name that is long or odd may be anything, a credential too."""
    return name if PLAIN_NAME.fullmatch(name) else "(a long or odd name)"
