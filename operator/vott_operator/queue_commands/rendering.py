"""Queues and messages on the screen."""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from vott_guard.redaction import redact
from vott_operator.queues.base import DeadLetter

SHOWN_CHARACTERS = 4000
CUT = "?…"  # a URL's query
BASE64 = re.compile(r"[A-Za-z0-9+/_=\r\n-]{24,}")


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One queue in `queue list`."""

    name: str
    kind: str
    waiting: str = "-"
    put_aside: str = "-"
    problem: str = ""


def queue_table(lines: Sequence[QueueLine]) -> str:
    """One line a queue; a problem stands at its end."""
    rows = [("QUEUE", "KIND", "WAITING", "PUT ASIDE", "")]
    rows += [(line.name, line.kind, line.waiting, line.put_aside, line.problem) for line in lines]
    return _columns(rows)


def letters_table(letters: Sequence[DeadLetter], *, show_secrets: bool) -> str:
    """A heading for each message, under it the sentence and the body."""
    heads = _columns([("ID", "TIME", "REASON")] + [(item.id, item.time, item.reason or "-") for item in letters])
    title, *lines = heads.splitlines()
    blocks = [
        "\n".join([line, *_below(letter, show_secrets=show_secrets)])
        for line, letter in zip(lines, letters, strict=True)
    ]
    return "\n\n".join([title + "\n" + blocks[0], *blocks[1:]])


def letters_json(letters: Sequence[DeadLetter], *, show_secrets: bool) -> str:
    """A list of objects, for programs."""
    items = [
        {
            "id": letter.id,
            "messageId": letter.message_id,
            "time": letter.time,
            "reason": letter.reason,
            "message": _shown(letter.message, show_secrets=show_secrets),
            "body": body_shown(letter.body, show_secrets=show_secrets),
        }
        for letter in letters
    ]
    return json.dumps(items, indent=2, ensure_ascii=False)


def body_shown(body: str, *, show_secrets: bool) -> str:
    """The body exactly as it was sent, or readable and without credentials."""
    return body if show_secrets else redact(decode_body(body), cut=CUT)


def decode_body(body: str) -> str:
    """Decode base64, as Azure Functions' tools send it: encoded credentials can't be redacted."""
    if not BASE64.fullmatch(body.strip()):
        return body
    compact = re.sub(r"[\r\n=]", "", body.strip()).translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4)).decode(errors="backslashreplace")
    except (binascii.Error, ValueError):
        return body


def _below(letter: DeadLetter, *, show_secrets: bool) -> list[str]:
    body = body_shown(letter.body, show_secrets=show_secrets)
    cut = f" … ({len(body) - SHOWN_CHARACTERS} more characters; --output json shows all)"
    text = body[:SHOWN_CHARACTERS] + (cut if len(body) > SHOWN_CHARACTERS else "")
    sentence = _shown(letter.message, show_secrets=show_secrets)
    return [f"  {_printable(line)}" for line in (*sentence.splitlines(), *text.splitlines())]


def _shown(text: str, *, show_secrets: bool) -> str:
    return text if show_secrets else redact(text, cut=CUT)


def _printable(text: str) -> str:
    """What a terminal would take for a command is shown as an escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, map(_printable, row), widths)).rstrip() for row in rows)
