"""Message bodies as they may be shown.

A body is whatever somebody sent: JSON, broken JSON, base64, no text at all. The credentials of a SAS or presigned URL
stand in its query, so everything that looks like a query is hidden, URL or not: too much rather than too little.
"""

import base64
import binascii
import json
import re

HIDDEN = "…"
LENIENT = json.JSONDecoder(strict=False)  # takes control characters in a string
# Up to the end where no quote closes it: else each quote in it would be the start of another look at all that follows.
JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
URL = re.compile(r"\s*(https?|sb|amqps?)://[^?#]*", re.IGNORECASE)
QUERY = re.compile(r'(\?|\\u003[fF]|%3[fF])[^\s"<>]+')
USER_INFO = re.compile(r'(:(?:\\?/){2})[^/\s"<>@]+@')
SECRET = re.compile(r"\b(sig|AccountKey|SharedAccessKey|SharedAccessSignature)\s*=\s*[^\s\"&;<>]+", re.IGNORECASE)
BASE64 = re.compile(r"[A-Za-z0-9+/_=\r\n-]{24,}")


def redact(text: str) -> str:
    """The text without URL queries, user information and keys."""
    text = JSON_STRING.sub(lambda match: _redact_json_string(match[0]), text)
    text = QUERY.sub(rf"\1{HIDDEN}", text)
    text = USER_INFO.sub(rf"\1{HIDDEN}@", text)
    return SECRET.sub(rf"\1={HIDDEN}", text)


def readable(body: str) -> str:
    """The body, decoded where it is base64 as Azure Functions' tools send it: encoded, it would hide nothing."""
    if not BASE64.fullmatch(body.strip()):
        return body
    compact = re.sub(r"[\r\n=]", "", body.strip()).translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4)).decode(errors="backslashreplace")
    except (binascii.Error, ValueError):
        return body


def _redact_json_string(literal: str) -> str:
    """A string of a JSON text may hide a URL behind escapes, and its end is known, whatever characters are in it."""
    try:
        value = LENIENT.decode(literal)
    except ValueError:
        return literal
    url = URL.match(value)
    shown = redact(url[0]) + f"?{HIDDEN}" if url and url.end() < len(value) else redact(value)
    return literal if shown == value else json.dumps(shown, ensure_ascii=False)
