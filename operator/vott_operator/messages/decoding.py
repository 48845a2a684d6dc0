"""Decode a queue message's bytes to a JSON object: size limit, UTF-8, base64 and JSON (RFC 8259)."""

import base64
import binascii
import json
from collections import Counter
from typing import Any

from vott_operator.api import constants as c
from vott_operator.errors import MessageRejectedError
from vott_operator.messages.json_values import MAX_DEPTH, AmbiguousObject, type_name

MAX_BYTES = 256 * 1024
"""The larger of the services' limits: 256 KiB in Service Bus' standard tier, 64 KiB in Storage Queue."""
EXAMPLE = 'Send {"annotations": URL, "model": URL, "status": URL}'
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, plain or in base64. Raises MessageRejectedError if there is none."""
    try:
        value = _parse(_decode(body))
    except RecursionError:
        text = f"The message is nested too deeply; {MAX_DEPTH} levels are allowed. {EXAMPLE}."
        raise MessageRejectedError(c.INVALID_MESSAGE, text) from None
    if not isinstance(value, dict):
        text = f"The message is JSON, but {type_name(value)} and not an object. {EXAMPLE}."
        raise MessageRejectedError(c.NOT_AN_OBJECT, text)
    return value


def _decode(body: bytes) -> str:
    if len(body) > MAX_BYTES:
        text = f"The message has {len(body)} bytes; {MAX_BYTES} are allowed. Put large values into the annotation file."
        raise MessageRejectedError(c.MESSAGE_TOO_LARGE, text)
    start = len(BYTE_ORDER_MARK) if body.startswith(BYTE_ORDER_MARK) else 0
    try:
        return body[start:].decode()
    except UnicodeDecodeError as error:
        position = start + error.start
        text = f"The message is not UTF-8 text: byte {position} is 0x{body[position]:02x}. {EXAMPLE} as JSON in UTF-8."
        raise MessageRejectedError(c.NOT_TEXT, text) from None


def _parse(text: str) -> Any:
    # JSON before base64: some JSON texts are valid base64 too.
    try:
        return _load(text)
    except json.JSONDecodeError as error:
        decoded = _decode_base64(text)
        if decoded is None:
            raise _not_json(error, text) from None
    try:
        return _load(decoded)
    except json.JSONDecodeError as error:
        raise _not_json(error, decoded, ", even after base64 decoding") from None


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
    except ValueError:  # more than the 4,300 digits that Python converts; infinite as a float, and so refused later
        return float(digits)


def _decode_base64(text: str) -> str | None:
    """Decode base64, as Azure Functions' tools send it; None if the text is not base64."""
    try:
        return base64.b64decode(text.strip(), validate=True).decode("utf-8-sig") or None
    except (binascii.Error, ValueError):
        return None


def _not_json(error: json.JSONDecodeError, text: str, note: str = "") -> MessageRejectedError:
    problem = f"not valid JSON{note}: {error.msg} at line {error.lineno}, column {error.colno}"
    return MessageRejectedError(c.NOT_JSON, f"The message is {problem if text.strip() else 'empty'}. {EXAMPLE}.")
