"""Output of `vott-train queue`: tables and JSON."""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from vott_guard.redaction import redact
from vott_messaging.messages.decoding import readable
from vott_messaging.queues.base import DeadLetter

MAX_BODY_CHARACTERS = 4000
REDACTED_QUERY = "?…"
# A webhook's path may be its credential. The text may be broken JSON; "/" may be escaped.
CALLBACK_PATH = re.compile(r'("status"\s*:\s*"https?:(?:\\?/){2}[^"/\\?#]+)(?:[/?#]|\\.)(?:[^"\\]|\\.)*', re.IGNORECASE)
REDACTED_PATH = r"\1/…"
BASE64 = re.compile(r"[A-Za-z0-9+/_=\r\n-]{24,}")


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One row of `queue list`."""

    name: str
    kind: str
    waiting: str = "-"
    dead_lettered: str = "-"
    error: str = ""


def queue_table(lines: Sequence[QueueLine]) -> str:
    """One row for each queue, with its error at the end."""
    rows = [("QUEUE", "KIND", "WAITING", "DEAD-LETTERED", "")]
    rows += [(line.name, line.kind, line.waiting, line.dead_lettered, line.error) for line in lines]
    return _columns(rows)


def letters_table(letters: Sequence[DeadLetter], *, show_secrets: bool) -> str:
    """A row for each message, followed by the explanation and the body."""
    rows = _columns([("ID", "TIME", "REASON")] + [(item.id, item.time, item.reason or "-") for item in letters])
    header, *lines = rows.splitlines()
    blocks = [
        "\n".join([line, *_details(letter, show_secrets=show_secrets)])
        for line, letter in zip(lines, letters, strict=True)
    ]
    return "\n\n".join([header + "\n" + blocks[0], *blocks[1:]])


def letters_json(letters: Sequence[DeadLetter], *, show_secrets: bool) -> str:
    """A JSON list with an object for each message."""
    items = [
        {
            "id": letter.id,
            "messageId": letter.message_id,
            "time": letter.time,
            "reason": letter.reason,
            "message": _redacted(letter.message, show_secrets=show_secrets),
            "body": displayed_body(letter.body, show_secrets=show_secrets),
        }
        for letter in letters
    ]
    return json.dumps(items, indent=2, ensure_ascii=False)


def displayed_body(body: str, *, show_secrets: bool) -> str:
    """The body unchanged, or decoded and without credentials."""
    return body if show_secrets else redact(CALLBACK_PATH.sub(REDACTED_PATH, decode_body(body)), cut=REDACTED_QUERY)


def decode_body(body: str) -> str:
    """Undo what client libraries put around a message, base64 even if it is damaged: encoded credentials can't be redacted."""
    text = readable(body)
    if not BASE64.fullmatch(text.strip()):
        return text
    compact = re.sub(r"[\r\n=]", "", text.strip()).translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4)).decode(errors="backslashreplace")
    except (binascii.Error, ValueError):
        return text


def _details(letter: DeadLetter, *, show_secrets: bool) -> list[str]:
    body = displayed_body(letter.body, show_secrets=show_secrets)
    hint = f" … ({len(body) - MAX_BODY_CHARACTERS} more characters; use --output json for all)"
    text = body[:MAX_BODY_CHARACTERS] + (hint if len(body) > MAX_BODY_CHARACTERS else "")
    explanation = _redacted(letter.message, show_secrets=show_secrets)
    return [f"  {_printable(line)}" for line in (*explanation.splitlines(), *text.splitlines())]


def _redacted(text: str, *, show_secrets: bool) -> str:
    return text if show_secrets else redact(text, cut=REDACTED_QUERY)


def _printable(text: str) -> str:
    """Escape the control characters that a terminal would interpret."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, map(_printable, row), widths)).rstrip() for row in rows)
